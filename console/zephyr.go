package console

import (
	"bytes"

	"github.com/heapwright/heapwright/heap"
)

// Zephyr, heaptrace dump. Source: the shell of the heap tracing module that
// was proposed in 2026 (lib/heap/heaptrace_shell.c); no release has it yet.
//
//	uart:~$ heaptrace dump all
//	=============== heaptrace dump begin ===============
//	[heaptrace] ptr=0x20001a30 size=64 heap=sys_heap alloc_tid=0x200004e8 alloc_thread=main alloc_cpu=0 alloc_ms=1234
//	[heaptrace]   backtrace: 0x8001234 0x8005678       <- CONFIG_HEAPTRACE_BACKTRACE
//	[heaptrace] outstanding_blocks=1 outstanding_bytes=64
//	=============== heaptrace dump end =================
//
// It is a listing of what is allocated now, in no particular order, and not a
// stream of events. ptr is what the program holds, and names the node; size is
// the length of the chunk (that of its payload in the newest heap, which says
// the same about growth). alloc_tid is the address of the thread, whose low 32
// bits serve as Owner; alloc_ms, since the device booted, is Birth. A dump of
// one thread or processor names it in Pool.
var zephyr = dialect{
	name:      "Zephyr heaptrace",
	sample:    "heaptrace dump begin",
	keys:      []string{"heaptrace dump "},
	boot:      []string{"*** Booting Zephyr OS", "***** BOOTING ZEPHYR OS"},
	unordered: true,
	header:    zephyrHeader,
	row:       zephyrRow,
	follow:    zephyrBacktrace,
	end:       zephyrEnd,
	stray:     func(line []byte) bool { return bytes.HasPrefix(line, []byte("[heaptrace] ptr=0x")) },
	fragment: func(line []byte) bool {
		return bytes.Contains(line, []byte("[heaptrace]")) || bytes.Contains(line, []byte(" alloc_tid="))
	},
}

const zephyrRule = "==============="

func zephyrHeader(line []byte, l *listing) bool {
	_, which, ok := bytes.Cut(line, []byte(zephyrRule+" heaptrace dump "))
	if !ok {
		return false
	}
	which, _, ok = bytes.Cut(which, []byte("begin "+zephyrRule))
	if !ok {
		return false
	}
	if which = bytes.TrimSpace(bytes.TrimPrefix(which, []byte("by "))); len(which) > 0 {
		l.pool = nameOf(which)
	}
	l.tickHz = 1000
	l.layout = new(zephyrLayout)
	return true
}

// zephyrLayout is what the rows have shown so far.
type zephyrLayout struct {
	stacks bool // there are backtraces, so every row should have one
}

// zephyrField reads the value behind " name=" that begins line, up to the next
// blank, and returns what is behind it.
func zephyrField(line []byte, name string) (value, rest []byte, ok bool) {
	if !bytes.HasPrefix(line, []byte(name)) {
		return nil, line, false
	}
	rest = line[len(name):]
	end := 0
	for end < len(rest) && !isSpace(rest[end]) {
		end++
	}
	return rest[:end], rest[end:], end > 0
}

func zephyrRow(line []byte, l *listing) bool {
	i := bytes.Index(line, []byte("[heaptrace] ptr="))
	if i < 0 {
		return false
	}
	rest := line[i+len("[heaptrace]"):]
	var value []byte
	var v [5]uint64 // ptr, size, -, tid, cpu
	ok := true
	for k, name := range [...]string{" ptr=", " size=", " heap=", " alloc_tid="} {
		if value, rest, ok = zephyrField(rest, name); !ok {
			return false
		}
		if v[k], ok = zephyrNumber(value); !ok && name != " heap=" {
			return false
		}
	}
	// The name of a thread can hold blanks.
	name, times, ok := bytes.Cut(rest, []byte(" alloc_cpu="))
	if !ok || !bytes.HasPrefix(name, []byte(" alloc_thread=")) {
		return false
	}
	name = name[len(" alloc_thread="):]
	_, times, ok = zephyrField(times, "")
	value, rest, ok2 := zephyrField(times, " alloc_ms=")
	ms, end := parseDec(value, 0)
	if !ok || !ok2 || end == 0 || v[0] == 0 {
		return false
	}
	n := l.add(heap.Addr(v[0]), 0, 0)
	n.Payload, n.Total, n.Birth = heap.Addr(v[0]), v[1], ms
	n.Owner = heap.Owner(v[3])
	if len(name) > 0 && n.Owner != 0 {
		l.name(n.Owner, name)
	}
	l.doubtful = true
	if l.layout.(*zephyrLayout).stacks || end < len(value) || skipSpace(rest, 0) < len(rest) {
		l.missing = 1
	}
	return true
}

// zephyrNumber reads a value that is a whole number, decimal or hexadecimal.
func zephyrNumber(b []byte) (uint64, bool) {
	if a, end := parseHex(b, 0); end > 0 && end == len(b) {
		return uint64(a), true
	}
	v, end := parseDec(b, 0)
	return v, end > 0 && end == len(b)
}

// zephyrBacktrace gives the row in front its stack.
func zephyrBacktrace(line []byte, l *listing) bool {
	_, levels, ok := bytes.Cut(line, []byte("[heaptrace]   backtrace:"))
	if !ok {
		return false
	}
	n, end := 0, 0
	for n < maxLevels {
		i := skipSpace(levels, end)
		v, j := parseHex(levels, i)
		if j == i || j < len(levels) && !isSpace(levels[j]) {
			break
		}
		l.lrs[n] = v
		n++
		end = j
	}
	l.layout.(*zephyrLayout).stacks = true
	if last := l.last(); last != nil && len(last.Stack) == 0 {
		l.extend(n)
		l.doubtful = false
		if l.unfinished || skipSpace(levels, end) < len(levels) {
			l.missing = 1
		}
	}
	return true
}

// zephyrEnd reads the count of nodes and the line behind it.
func zephyrEnd(line []byte, l *listing) bool {
	l.doubtful = l.doubtful && l.unfinished
	if _, count, ok := bytes.Cut(line, []byte("outstanding_blocks=")); ok {
		if n, end := parseDec(count, 0); end > 0 && n <= maxNodes {
			l.announced = int(n)
			l.ended = true
		}
		return false
	}
	_, which, ok := bytes.Cut(line, []byte(zephyrRule+" heaptrace dump "))
	return ok && bytes.Contains(which, []byte("end "+zephyrRule))
}
