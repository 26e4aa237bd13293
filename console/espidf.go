package console

import (
	"bytes"

	"github.com/heapwright/heapwright/heap"
)

// ESP-IDF, heap_trace_dump. Sources: components/heap/heap_trace_standalone.c
// of ESP-IDF 3.x to 5.x and the examples in its documentation.
//
// To 5.0:
//
//	2 allocations trace (100 entry buffer)
//	32 bytes (@ 0x3ffaf214) allocated CPU 0 ccount 0x2e9b7384 caller 0x400d276d:0x400d27c1
//	freed by 0x400d2776:0x400d27c1             <- mode ALL only, if it was
//	8 bytes (@ 0x3ffaf804) allocated CPU 0 ccount 0x2e9b79c0 caller 0x400d2776:
//	8 bytes alive in trace (1/2 allocations)
//	total allocations 2 total frees 1
//	(NB: Buffer has overflowed, so trace data is incomplete.)
//
// From 5.1:
//
//	====== Heap Trace: 2 records (100 capacity) ======
//	    84 bytes (@ 0x3fca94d8, Internal) allocated CPU 0 ccount 0x042ac374 caller 0x40376183:0x4037da9c
//	====== Heap Trace Summary ======
//	Mode: Heap Trace Leaks
//	84 bytes 'leaked' in trace (1 allocations)
//	...
//	================================
//
// The monitor on the host adds lines with functions between the rows, and
// blank ones. Rows come in the order of allocation. Only what was allocated
// since the trace began is in it; records of freed memory, which mode ALL
// keeps, are left out.
//
// The address is what the program holds, and names the node; the bytes are
// those it asked for. The length of the node is not shown. CPU is the
// processor that allocated it and not an owner; ccount, its cycle counter,
// overflows within a minute and serves as Serial. The callers are the stack,
// innermost first, with a colon behind each but the deepest that can be
// recorded; there are none where the depth is 0, as by default on RISC-V.
var espidf = dialect{
	name:      "ESP-IDF heap_trace_dump",
	sample:    "====== Heap Trace: N records",
	keys:      []string{"Heap Trace: ", "allocations trace ("},
	boot:      []string{"ets Jun ", "ets Jul ", "ESP-ROM:", "rst:0x", "2nd stage bootloader", "cpu_start: Pro cpu up", "cpu_start: Multicore", "cpu_start: Unicore"},
	unordered: true,
	header:    espidfHeader,
	row:       espidfRow,
	follow:    espidfFreed,
	end:       espidfEnd,
	stray:     espidfStray,
	fragment: func(line []byte) bool {
		return bytes.Contains(line, espidfAt) || bytes.Contains(line, espidfAllocated)
	},
}

// espidfLayout is how far a listing has come.
type espidfLayout struct {
	last    bool // "freed by" in the next line is about the row read last
	summary bool // the rows are over
}

func espidfHeader(line []byte, l *listing) bool {
	before, after, ok := bytes.Cut(line, []byte("Heap Trace: "))
	tail := []byte(" capacity) ======")
	between := []byte(" records (")
	if !ok || !bytes.HasSuffix(before, []byte("====== ")) {
		before, after, ok = bytes.Cut(line, []byte(" allocations trace ("))
		words := bytes.Fields(before)
		if !ok || len(words) == 0 {
			return false
		}
		tail = []byte(" entry buffer)")
		between = nil
		if count := words[len(words)-1]; !isDec(count) {
			return false
		}
	}
	i := 0
	if between != nil {
		_, i = parseDec(after, 0)
		if i == 0 || !bytes.HasPrefix(after[i:], between) {
			return false
		}
		i += len(between)
	}
	_, end := parseDec(after, i)
	l.layout = new(espidfLayout)
	return end > i && bytes.HasPrefix(after[end:], tail)
}

func isDec(b []byte) bool {
	_, end := parseDec(b, 0)
	return end > 0 && end == len(b)
}

var (
	espidfAt        = []byte(" bytes (@ 0x")
	espidfAllocated = []byte(") allocated CPU ")
	espidfCcount    = []byte(" ccount ")
	espidfCaller    = []byte(" caller")
)

// espidfRow reads a row from the start of the line, or from behind what a
// logger put there.
func espidfRow(line []byte, l *listing) bool {
	start := skipSpace(line, 0)
	size, i := parseDec(line, start)
	if i == start || !bytes.HasPrefix(line[i:], espidfAt) {
		i = bytes.Index(line, espidfAt)
		if i < 0 {
			return false
		}
		for start = i; start > 0 && line[start-1]-'0' <= 9; {
			start--
		}
		var end int
		if size, end = parseDec(line, start); end != i || start == i {
			return false
		}
	}
	i += len(espidfAt) - len("0x")
	addr, end := parseHex(line, i)
	width := end - i
	label := bytes.IndexByte(line[end:min(len(line), end+20)], ')') // ", Internal" or ",    PSRAM"
	if width == 0 || label < 0 || !bytes.HasPrefix(line[end+label:], espidfAllocated) {
		return false
	}
	i = end + label + len(espidfAllocated)
	_, end = parseDec(line, i)
	if end == i || !bytes.HasPrefix(line[end:], espidfCcount) {
		return false
	}
	i = end + len(espidfCcount)
	ccount, end := parseHex(line, i)
	if end == i || !bytes.HasPrefix(line[end:], espidfCaller) {
		return false
	}
	levels, whole := espidfCallers(line, end+len(espidfCaller), l.lrs[:])
	n := l.add(addr, levels, width)
	n.Payload, n.Size, n.Serial = addr, size, uint64(ccount)
	if !whole {
		l.missing = 1
	}
	l.layout.(*espidfLayout).last = true
	l.doubtful = true
	return true
}

// espidfCallers reads " A:B:C" at line[i:] into lrs. It returns their number
// and whether nothing seems to be lost.
func espidfCallers(line []byte, i int, lrs []heap.Addr) (n int, whole bool) {
	end := skipSpace(line, i)
	whole = true
	for n < len(lrs) {
		v, j := parseHex(line, end)
		if j == end {
			break
		}
		whole = whole && j-end == len("0x40376183")
		lrs[n] = v
		n++
		end = j
		if j == len(line) || line[j] != ':' {
			break
		}
		end++
	}
	return n, whole && skipSpace(line, end) == len(line)
}

// espidfFreed takes back the row in front of "freed by".
func espidfFreed(line []byte, l *listing) bool {
	layout := l.layout.(*espidfLayout)
	if !bytes.Contains(line, []byte("freed by ")) {
		return false
	}
	if layout.last {
		l.drop()
		layout.last = false
	}
	return true
}

// espidfEnd reads the lines behind the rows. The last of them is certain only
// from 5.1 on: before that, warnings follow the totals.
func espidfEnd(line []byte, l *listing) bool {
	layout := l.layout.(*espidfLayout)
	if l.doubtful && !l.unfinished && skipSpace(line, 0) < len(line) && !bytes.Contains(line, []byte("0x")) {
		// Only the monitor's lines can stand in front of "freed by".
		l.doubtful = false
	}
	switch {
	case bytes.Contains(line, []byte("Heap Trace Summary ======")):
		layout.summary = true
	case bytes.Contains(line, []byte(" in trace (")):
		// "N bytes 'leaked' in trace (M allocations)", "N bytes alive in
		// trace (M/ALL allocations)": M rows should be left.
		_, after, _ := bytes.Cut(line, []byte(" in trace ("))
		if live, end := parseDec(after, 0); end > 0 && live <= maxNodes {
			l.announced = int(live) + l.dropped
			l.ended = true
		}
	case bytes.Contains(line, []byte("total allocations ")) && bytes.Contains(line, []byte(" total frees ")):
		l.ended = true
	case bytes.Contains(line, []byte("(NB: New entries were traced while dumping")):
		l.remark("memory was allocated while the trace was printed")
	case bytes.Contains(line, []byte("uffer has overflowed, so trace data is incomplete")):
		l.remark("the device's trace buffer overflowed: the oldest records are lost")
	case bytes.Contains(line, []byte("Error: heap trace linked list is corrupt")):
		l.remark("the device's list of records is corrupt: it printed them only in part")
	case layout.summary:
		line = bytes.TrimSpace(line)
		return bytes.HasSuffix(line, []byte("================================"))
	}
	return false
}

// espidfStray looks for rows that begin the line.
func espidfStray(line []byte) bool {
	i := skipSpace(line, 0)
	_, end := parseDec(line, i)
	return end > i && bytes.HasPrefix(line[end:], espidfAt)
}
