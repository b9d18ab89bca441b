-- The load as wrk sends it. Arguments: kind of crowd, number of clients, number of the first address, then the header
-- lines that all requests carry. Says "ready" when the clock is about to run, and prints one line of JSON when
-- it is over, with the CPU time that wrk itself has used.

local kind, clients, first
local head, tail
local turn = 0
local crowd, draw = {}, {}

-- The n-th address: 11.0.0.0 and up.
local function address(n)
  n = n + 184549376
  local floor = math.floor
  return floor(n / 16777216) .. "." .. floor(n / 65536) % 256 .. "." .. floor(n / 256) % 256 .. "." .. n % 256
end

local function requestOf(n)
  return head .. address(n) .. tail
end

-- Who asks is drawn before the clock runs: the same sequence for every subject.
local function prepare()
  local weights, sum = {}, 0
  for i = 1, clients do
    crowd[i] = requestOf(first + i)
    sum = sum + (kind == "zipf" and 1 / i or 1)
    weights[i] = sum
  end
  math.randomseed(1)
  for i = 1, 65536 do
    local at = math.random() * sum
    local low, high = 1, clients
    while low < high do
      local middle = math.floor((low + high) / 2)
      if weights[middle] < at then low = middle + 1 else high = middle end
    end
    draw[i] = crowd[low]
  end
end

function init(args)
  kind, clients, first = args[1], tonumber(args[2]), tonumber(args[3])
  local lines = { " HTTP/1.1", "Host: " .. wrk.host .. ":" .. wrk.port }
  for i = 4, #args do lines[#lines + 1] = args[i] end
  local target = "GET " .. wrk.path
  local fields = table.concat(lines, "\r\n") .. "\r\nCF-Connecting-IP: "
  head = target .. fields
  tail = "\r\n\r\n"
  if kind ~= "new" then prepare() end
  if kind == "urls" then
    local rest = fields .. address(first + 1) .. tail
    request = function()
      turn = turn + 1
      return target .. "?n=" .. turn .. rest
    end
  elseif kind == "one" then
    local only = crowd[1]
    request = function() return only end
  elseif kind == "new" then
    request = function()
      turn = turn + 1
      return requestOf(first + turn)
    end
  else
    request = function()
      turn = turn % 65536 + 1
      return draw[turn]
    end
  end
  io.stderr:write("ready\n")
end

function done(summary, latency)
  local errors = summary.errors
  io.write(string.format(
    '\n{"requests":%d,"durationUs":%d,"p50Us":%d,"p99Us":%d,"refused":%d,"broken":%d,"cpuSeconds":%.4f}\n',
    summary.requests, summary.duration, latency:percentile(50), latency:percentile(99), errors.status,
    errors.connect + errors.read + errors.write + errors.timeout, os.clock()))
end
