require "socket"
q = Queue.new
4.times.map { |i| Thread.new { q << i * i } }.each(&:join)
p 4.times.map { q.pop }.sort
s = TCPServer.new("127.0.0.1", 0)
Thread.new { c = s.accept; c.puts c.gets.reverse; c.close }
c = TCPSocket.new("127.0.0.1", s.addr[1])
c.puts "abc"
p c.read
p fork { exit 3 }.then { |pid| Process.wait2(pid)[1].exitstatus }
200.times { "x" * 100_000 }
GC.start
puts `echo sub`
