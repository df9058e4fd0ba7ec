/** A readable description of a handle, a timer or another object of Node. */
export interface Description {
  /** `TCP server`, `interval of 1000 ms`. */
  readonly name: string;
  /** `127.0.0.1:8080`, `pid 42: sleep 10`; empty where nothing is known. */
  readonly details: string;
}

/** Node's types, by the names of async_hooks and of `process.getActiveResourcesInfo()`. */
const names: Readonly<Record<string, string>> = {
  Timeout: "timer",
  Immediate: "immediate",
  TCPSERVERWRAP: "TCP server",
  TCPServerWrap: "TCP server",
  TCPWRAP: "TCP socket",
  TCPSocketWrap: "TCP socket",
  PIPESERVERWRAP: "pipe server",
  PipeServerWrap: "pipe server",
  PIPEWRAP: "pipe",
  PipeWrap: "pipe",
  TTYWRAP: "terminal",
  UDPWRAP: "UDP socket",
  UDPWrap: "UDP socket",
  FSEVENTWRAP: "file watcher (fs.watch)",
  FSEventWrap: "file watcher (fs.watch)",
  STATWATCHER: "file watcher (fs.watchFile)",
  StatWatcher: "file watcher (fs.watchFile)",
  PROCESSWRAP: "child process",
  ProcessWrap: "child process",
  WORKER: "worker thread",
  MESSAGEPORT: "message port",
  MessagePort: "message port",
  SIGNALWRAP: "signal listener",
  TCPCONNECTWRAP: "TCP connection that is being made",
  PIPECONNECTWRAP: "pipe that is being connected",
  QUERYWRAP: "DNS query",
  GETADDRINFOREQWRAP: "look-up of a host name",
  GETNAMEINFOREQWRAP: "look-up of an address",
  FSREQCALLBACK: "file operation",
  FSREQPROMISE: "file operation",
  FILEHANDLECLOSEREQ: "file that is being closed",
};

type Facts = Readonly<Record<string, unknown>>;

/**
 * Describes a resource by its readable properties. All of them are internal to Node and may be missing. Then the
 * description is shorter.
 */
export function describeResource(type: string, resource: object | undefined): Description {
  if (resource === undefined) return { name: names[type] ?? type, details: "" };
  const own = resource as Facts;
  if (type === "Timeout") {
    const repeats = own["_repeat"] !== null && own["_repeat"] !== undefined;
    return { name: `${repeats ? "interval" : "timeout"} of ${String(own["_idleTimeout"])} ms`, details: "" };
  }
  const owner = ownerOf(resource) as Facts;
  let name = names[type] ?? type;
  if (name === "TCP server" && "requestTimeout" in owner) name = "HTTP server";
  return { name, details: detailsOf(own, owner) };
}

/** The public object behind a handle, such as a `Socket` or a `ChildProcess`; the handle itself if there is none. */
export function ownerOf(handle: object): object {
  for (const key of Object.getOwnPropertySymbols(handle)) {
    if (key.description !== "owner_symbol") continue;
    const owner: unknown = Reflect.get(handle, key);
    if (typeof owner === "object" && owner !== null) return owner;
  }
  return handle;
}

function detailsOf(own: Facts, owner: Facts): string {
  const pid = owner["pid"];
  if (typeof pid === "number") {
    const command = owner["spawnargs"];
    return `pid ${pid}${Array.isArray(command) ? `: ${command.join(" ").slice(0, 80)}` : ""}`;
  }
  if (typeof own["threadId"] === "number") return `#${own["threadId"]}`;
  const remote = owner["remotePort"];
  if (typeof remote === "number") return `to ${String(owner["remoteAddress"])}:${remote}`;
  const address = addressOf(owner);
  if (address !== "") return address;
  const fd = own["fd"];
  return typeof fd === "number" && fd >= 0 ? `fd ${fd}` : "";
}

function addressOf(owner: Facts): string {
  const { address } = owner;
  if (typeof address !== "function") return "";
  try {
    const value: unknown = Reflect.apply(address, owner, []);
    if (typeof value === "string") return value;
    const { address: host, port } = value as { address?: unknown; port?: unknown };
    return typeof port === "number" ? `${String(host)}:${port}` : "";
  } catch {
    return ""; // a UDP socket that was never bound
  }
}
