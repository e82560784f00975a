-- POSTs with a new unique_id each; the rest of the body is one fixed record, so that wrk costs little beside the server.
local count, base = 0, 0
local threads = 0

function setup(thread)
    thread:set("base", threads * 1000000000)
    threads = threads + 1
end

function init(args)
    local file = assert(io.open(args[1]))
    local line = file:read("*l")
    file:close()
    local from, to = line:find('"unique_id":"[^"]*"')
    before = line:sub(1, from - 1) .. '"unique_id":"wrk-'
    after = '"' .. line:sub(to + 1)
    wrk.method = "POST"
    wrk.headers["Content-Type"] = "application/json"
    wrk.headers["Authorization"] = "Basic bGl2ZV9iZW5jaDo="
end

function request()
    count = count + 1
    return wrk.format(nil, nil, nil, before .. string.format("%026d", base + count) .. after)
end
