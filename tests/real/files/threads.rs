use std::collections::HashMap;
use std::io::{BufRead, BufReader, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::{mpsc, Arc, Condvar, Mutex, RwLock};
use std::thread;

fn main() {
    let map = Arc::new(RwLock::new(HashMap::new()));
    let (send, receive) = mpsc::channel();
    let crew: Vec<_> = (0..8u64)
        .map(|n| {
            let (map, send) = (map.clone(), send.clone());
            thread::Builder::new()
                .name(format!("crew-{n}"))
                .spawn(move || {
                    for i in 0..100 {
                        map.write().unwrap().insert((n, i), n * i);
                    }
                    send.send(n).unwrap();
                })
                .unwrap()
        })
        .collect();
    drop(send);
    let mut order: Vec<u64> = receive.iter().collect();
    order.sort();
    for member in crew {
        member.join().unwrap();
    }
    println!("{:?} {} {}", order, map.read().unwrap().len(), map.read().unwrap().values().sum::<u64>());

    let pair = Arc::new((Mutex::new(false), Condvar::new()));
    let other = pair.clone();
    let waiter = thread::spawn(move || {
        let mut done = other.0.lock().unwrap();
        while !*done {
            done = other.1.wait(done).unwrap();
        }
        "woken"
    });
    *pair.0.lock().unwrap() = true;
    pair.1.notify_all();
    println!("{}", waiter.join().unwrap());

    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let server = thread::spawn(move || {
        let (stream, _) = listener.accept().unwrap();
        let mut line = String::new();
        BufReader::new(&stream).read_line(&mut line).unwrap();
        (&stream).write_all(line.to_uppercase().as_bytes()).unwrap();
    });
    let mut stream = TcpStream::connect(address).unwrap();
    stream.write_all(b"over tcp\n").unwrap();
    let mut answer = String::new();
    BufReader::new(&stream).read_line(&mut answer).unwrap();
    server.join().unwrap();
    print!("{answer}");
    let refused = thread::spawn(|| panic!("on purpose")).join().is_err();
    println!("a panic in a thread is an error: {refused}");
}
