"""The gateway: the verbs of an inbox over HTTP, on a loopback address or a Unix socket."""
