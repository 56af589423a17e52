# Opens a TUN device in the namespace that it runs in and relays its packets: each preceded by its
# length, two bytes big-endian, on standard output, and the same way back on standard input.
# Arguments: name, MTU, then words for `ip` that set it up, one command an argument.
import fcntl, os, select, struct, subprocess, sys

name, mtu = sys.argv[1], sys.argv[2]
device = os.open("/dev/net/tun", os.O_RDWR)
TUNSETIFF, IFF_TUN, IFF_NO_PI = 0x400454CA, 0x0001, 0x1000
fcntl.ioctl(device, TUNSETIFF, struct.pack("16sH", name.encode(), IFF_TUN | IFF_NO_PI))
for words in ["link set %s mtu %s up" % (name, mtu)] + sys.argv[3:]:
    subprocess.run(["ip"] + words.split(), check=True, stdout=sys.stderr)
os.set_blocking(device, False)
rest = b""
while True:
    ready, _, _ = select.select([device, 0], [], [])
    if device in ready:
        frames = []
        try:
            while len(frames) < 64:
                packet = os.read(device, 65536)
                frames.append(struct.pack(">H", len(packet)) + packet)
        except BlockingIOError:
            pass
        data = b"".join(frames)
        while data:
            data = data[os.write(1, data):]
    if 0 in ready:
        data = os.read(0, 1 << 20)
        if not data:
            break
        rest += data
        at = 0
        while len(rest) - at >= 2:
            end = at + 2 + struct.unpack_from(">H", rest, at)[0]
            if end > len(rest):
                break
            try:
                os.write(device, rest[at + 2:end])
            except OSError:
                pass
            at = end
        rest = rest[at:]
