-- Answers of a task API for nginx's Lua module: every create succeeds, every task is there, every list is empty but
-- that of a project `pagesN`, which has N pages.
-- The shared dictionary `seen` counts creates, so that a benchmark can check what really arrived.
local M = {}

local find, sub, match = string.find, string.sub, string.match
local seen = ngx.shared.seen
local latency_s = 0

local second, stamp = 0, ""

-- ISO time with milliseconds, as Scale writes it; the text up to the second is made once a second.
local function created_at()
    local now = ngx.now()
    local whole = math.floor(now)
    if whole ~= second then
        second = whole
        stamp = os.date("!%Y-%m-%dT%H:%M:%S.", whole)
    end
    return string.format("%s%03dZ", stamp, math.floor((now - whole) * 1000))
end

-- The body as sent, less its unique_id member: what a reply shows as `params`. Ids hold no escapes here.
local function split(body)
    local from, to, id, comma = find(body, '"unique_id"%s*:%s*"([^"]*)"%s*(,?)%s*')
    if not from then
        return nil, body
    end
    local before = sub(body, 1, from - 1)
    if comma == "" then
        before = match(before, "^(.-),?%s*$")
    end
    return id, before .. sub(body, to + 1)
end

function M.init(latency_ms)
    latency_s = latency_ms / 1000
end

local function wait()
    if latency_s > 0 then
        ngx.sleep(latency_s)
    end
end

function M.create()
    ngx.req.read_body()
    local id, params = split(ngx.req.get_body_data() or "{}")
    if seen:incr("creates", 1, 0) == 1 then
        seen:set("first", ngx.now())
    end
    wait()
    local task_id = sub(ngx.md5(id or ngx.var.request_id), 1, 24)
    local quoted = id and ('"' .. id .. '"') or "null"
    local reply = '{"task_id":"' .. task_id .. '","created_at":"' .. created_at()
        .. '","callback_url":"","type":"' .. ngx.var.task_type
        .. '","status":"pending","is_test":false,"urgency":"standard","tags":[],"priority":30,'
        .. '"callback_succeeded":false,"unique_id":' .. quoted .. ',"params":' .. params .. '}'
    ngx.header["Content-Type"] = "application/json; charset=utf-8"
    ngx.header["Content-Length"] = #reply
    ngx.print(reply)
end

-- A task that was created once, in an ordinary size.
local function task(task_id)
    return '{"task_id":"' .. task_id .. '","created_at":"2026-01-02T03:04:05.678Z","updated_at":"2026-01-02T03:04:05.678Z",'
        .. '"type":"imageannotation","status":"pending","instruction":"Draw a box around each cat.","is_test":false,'
        .. '"urgency":"standard","metadata":{"row":17,"source":"camera-4"},"project":"cats","batch":"march",'
        .. '"callback_url":"https://example.com/done","unique_id":"cats-00017","tags":["a","b"],"priority":30,'
        .. '"params":{"attachment":"https://example.com/cats/00017.jpg","attachment_type":"image",'
        .. '"geometries":{"box":{"objects_to_annotate":["cat"],"min_height":10,"min_width":10}}}}'
end

function M.get()
    wait()
    local reply = task(ngx.var.task_id)
    ngx.header["Content-Type"] = "application/json; charset=utf-8"
    ngx.header["Content-Length"] = #reply
    ngx.print(reply)
end

local docs = string.rep(task("5c84d0efc4fd4f0075d11f8c"), 100, ",")

-- The pages of a project `pagesN`; the token counts them.
local function page(pages)
    local number = tonumber(ngx.var.arg_next_token or "1")
    local more = number < pages
    ngx.print('{"docs":[', docs, '],"total":', pages * 100, ',"limit":100,"offset":0,"has_more":', tostring(more),
        more and (',"next_token":"' .. (number + 1) .. '"}') or "}")
end

function M.list()
    wait()
    ngx.header["Content-Type"] = "application/json; charset=utf-8"
    local pages = match(ngx.var.arg_project or "", "^pages(%d+)$")
    if pages then
        return page(tonumber(pages))
    end
    ngx.print('{"docs":[],"total":0,"limit":100,"offset":0,"has_more":false,"next_token":null}')
end

-- After a create: bytes of the request and of the reply, heads included, TLS and TCP not.
function M.count()
    seen:incr("received", tonumber(ngx.var.request_length), 0)
    seen:incr("sent", tonumber(ngx.var.bytes_sent), 0)
end

-- GET: what was counted so far. POST: the same, then the count starts again.
function M.state()
    ngx.update_time()
    ngx.print(string.format('{"creates":%d,"first":%.3f,"now":%.3f,"received":%d,"sent":%d}',
        seen:get("creates") or 0, seen:get("first") or 0, ngx.now(), seen:get("received") or 0, seen:get("sent") or 0))
    if ngx.req.get_method() == "POST" then
        seen:flush_all()
    end
end

return M
