import java.util.concurrent.*;
import java.util.stream.*;

public class Hello {
    public static void main(String[] args) throws Exception {
        ExecutorService pool = Executors.newFixedThreadPool(4);
        int sum = 0;
        for (Future<Integer> f : pool.invokeAll(IntStream.range(0, 20)
                .<Callable<Integer>>mapToObj(n -> () -> n * n).collect(Collectors.toList())))
            sum += f.get();
        pool.shutdown();
        byte[][] garbage = new byte[10][];
        for (int i = 0; i < 500; i++) garbage[i % 10] = new byte[100_000];
        System.gc();
        System.out.println("hello " + sum + " " + garbage.length);
        try {
            Object none = garbage.length > 5 ? null : garbage;
            none.toString();
        } catch (NullPointerException e) {
            System.out.println("null was told");
        }
    }
}
