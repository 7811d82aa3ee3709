"""
A TSM item as Linux behaves, in user space: what is written takes effect at close, the quote is made
by the first read after it and then kept, sizes say nothing, and reads fail with error numbers.

Arguments: where to mount, then the command of a process that answers each line of report data with
a line of the quote, both in hex. What is written to `next` are words, one for each request to come:
the name of an error number, `empty`, `short`, `padded`, or `good`.
"""
import errno
import stat
import subprocess
import sys

from fusepy import FUSE, FuseOSError, Operations

MODES = {"provider": 0o444, "generation": 0o444, "inblob": 0o200, "outblob": 0o400, "next": 0o200}


class Item(Operations):
    def __init__(self, host):
        self.host = subprocess.Popen(host, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        self.generation = 0
        self.inblob = b""
        self.outblob = None
        self.written = {}
        self.next = []
        self.handle = 0

    def init(self, path):
        print("ready", flush=True)

    def getattr(self, path, fh=None):
        if path == "/":
            return {"st_mode": stat.S_IFDIR | 0o755, "st_nlink": 2}
        if path[1:] not in MODES:
            raise FuseOSError(errno.ENOENT)
        return {"st_mode": stat.S_IFREG | MODES[path[1:]], "st_nlink": 1, "st_size": 0}

    def open(self, path, flags):
        self.handle += 1
        return self.handle

    def write(self, path, data, offset, fh):
        if path == "/inblob" and offset + len(data) > 64:
            raise FuseOSError(errno.EFBIG)
        self.written[fh] = self.written.get(fh, b"") + data
        return len(data)

    def flush(self, path, fh):
        data = self.written.pop(fh, None)
        if data is None:
            return 0
        if path == "/next":
            self.next = data.decode().split()
        else:
            self.inblob, self.outblob = data, None
            self.generation += 1
        return 0

    def read(self, path, size, offset, fh):
        if path == "/outblob" and self.outblob is None:
            self.outblob = self.request()
        content = {
            "/provider": b"tdx_guest\n",
            "/generation": b"%d\n" % self.generation,
            "/outblob": self.outblob,
        }[path]
        return content[offset:offset + size]

    def request(self):
        word = self.next.pop(0) if self.next else "good"
        if word in errno.errorcode.values():
            raise FuseOSError(getattr(errno, word))
        if len(self.inblob) != 64:
            raise FuseOSError(errno.EINVAL)
        self.host.stdin.write(self.inblob.hex() + "\n")
        self.host.stdin.flush()
        quote = bytes.fromhex(self.host.stdout.readline())
        return {"empty": b"", "short": quote[:1000], "padded": quote.ljust(8000, b"\0")}.get(word, quote)

    def destroy(self, path):
        self.host.stdin.close()
        self.host.wait()


FUSE(Item(sys.argv[2:]), sys.argv[1], foreground=True, nothreads=True, direct_io=True)
