-- One tools/call, as a client of the 2025-11-25 revision sends it; the result as one JSON line for relay.sh.
wrk.method = "POST"
wrk.body = '{"jsonrpc":"2.0","id":7,"method":"tools/call","params":{"name":"echo","arguments":{"text":"hello"}}}'
wrk.headers["Content-Type"] = "application/json"
wrk.headers["Accept"] = "application/json, text/event-stream"
wrk.headers["MCP-Protocol-Version"] = "2025-11-25"
if os.getenv("BENCH_AUTHORIZATION") then
  wrk.headers["Authorization"] = os.getenv("BENCH_AUTHORIZATION")
end

function done(summary, latency, requests)
  local e = summary.errors
  io.write(string.format(
    '\n{"p50":%d,"p99":%d,"requests":%d,"per_second":%.1f,"errors":%d}\n',
    latency:percentile(50), latency:percentile(99), summary.requests,
    summary.requests / (summary.duration / 1e6), e.connect + e.read + e.write + e.status + e.timeout))
end
