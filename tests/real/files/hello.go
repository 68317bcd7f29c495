package main

import (
	"bufio"
	"fmt"
	"net"
	"runtime"
	"sync"
	"time"
)

func main() {
	fmt.Println("hello", runtime.GOOS, runtime.GOARCH)
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		panic(err)
	}
	go func() {
		for {
			c, err := listener.Accept()
			if err != nil {
				return
			}
			go func() {
				defer c.Close()
				line, _ := bufio.NewReader(c).ReadString('\n')
				fmt.Fprintf(c, "echo %s", line)
			}()
		}
	}()
	var wait sync.WaitGroup
	var lock sync.Mutex
	sum := 0
	for i := 0; i < 20; i++ {
		wait.Add(1)
		go func(i int) {
			defer wait.Done()
			c, err := net.Dial("tcp", listener.Addr().String())
			if err != nil {
				panic(err)
			}
			defer c.Close()
			fmt.Fprintf(c, "%d\n", i)
			var got int
			fmt.Fscanf(c, "echo %d\n", &got)
			lock.Lock()
			sum += got
			lock.Unlock()
		}(i)
	}
	wait.Wait()
	fmt.Println("sum", sum)
	var kept [][]byte
	for i := 0; i < 2000; i++ { // garbage
		kept = append(kept, make([]byte, 10000))
		if len(kept) > 100 {
			kept = kept[50:]
		}
	}
	runtime.GC()
	select {
	case <-time.After(20 * time.Millisecond):
		fmt.Println("timer", len(kept) > 0)
	}
}
