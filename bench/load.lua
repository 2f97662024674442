-- SPDX-License-Identifier: Apache-2.0
-- The requests of wrk and exact counts at its end. Arguments: bytes of the body to send (0: a GET), number of
-- host names to ask for in turn (0: the one of the URL).
local MOST_PREPARED = 1000

local prepared, at = {}, 0

function init(args)
    local body_bytes, hosts = tonumber(args[1]), tonumber(args[2])
    if body_bytes > 0 then
        wrk.method = "POST"
        wrk.body = string.rep("x", body_bytes)
    end
    if hosts == 0 then
        prepared[1] = wrk.format()
        return
    end
    local count = math.min(hosts, MOST_PREPARED)
    for number = 1, count do
        wrk.headers["Host"] = string.format("h%d.example.com", math.floor((number - 1) * hosts / count))
        prepared[number] = wrk.format()
    end
end

function request()
    at = at % #prepared + 1
    return prepared[at]
end

function done(summary, latency)
    local errors = summary.errors
    print(string.format('JSON {"requests": %d, "bytes": %d, "duration_us": %d, "errors": %d, "p50_us": %d, "p99_us": %d}',
        summary.requests, summary.bytes, summary.duration,
        errors.connect + errors.read + errors.write + errors.status + errors.timeout,
        latency:percentile(50), latency:percentile(99)))
end
