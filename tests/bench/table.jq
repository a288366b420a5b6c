# Medians over the rounds. "Added" is taken within a round, against the direct figure of the same round.
def median: sort | if length % 2 == 1 then .[length / 2 | floor] else (.[length / 2 - 1] + .[length / 2]) / 2 end;
def r1: . * 10 | round / 10;
def r2: . * 100 | round / 100;
def pad($n): tostring | . + (" " * ([$n - length, 0] | max));
def row: (.[0] | pad(10)) + ([.[1:][] | pad(14)] | join(""));

. as $all
| def of($name; $connections; f): [$all[] | select(.name == $name and .connections == $connections) | f] | median;
  def added($name; f):
    [ $all[] | select(.name == $name and .connections == 1) as $r
      | ($all[] | select(.name == "direct" and .connections == 1 and .round == $r.round)) as $d
      | ($r | f) - ($d | f) ] | median;
  (added("keyfob"; .p50) / added("nginx"; .p50)) as $latency
| (of("keyfob"; 64; .per_second) / of("nginx"; 64; .per_second)) as $throughput
| (["", "p50 µs", "p99 µs", "added p50", "added p99", "req/s at 64", "p99 ms at 64"] | row),
  (("direct", "nginx", "keyfob") as $n
   | [$n, of($n; 1; .p50), of($n; 1; .p99), (if $n == "direct" then "" else added($n; .p50) end),
      (if $n == "direct" then "" else added($n; .p99) end), (of($n; 64; .per_second) | round), (of($n; 64; .p99) / 1000 | r1)] | row),
  "",
  "added p50 at 1 connection: \($latency | r2) × what nginx adds (budget 3, goal 1.5)",
  "throughput at 64 connections: \($throughput | r2) × nginx with one worker (budget 0.3, goal 0.6)",
  (if $latency <= 3 and $throughput >= 0.3 then "within budget" else "OVER BUDGET" end)
