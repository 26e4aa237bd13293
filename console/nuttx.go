package console

import (
	"bytes"

	"github.com/heapwright/heapwright/heap"
)

// NuttX, memdump (echo used > /proc/memdump). Sources: mm/mm_heap/mm_memdump.c,
// mm/tlsf/mm_tlsf.c, mm/mempool/mempool.c and tools/parsememdump.py of NuttX
// 10.2 to 12.10, and the log in the pull request that introduced backtraces.
//
//	[ 5286.767232] [ 9] [  INFO] [ap] Dump all used memory node info:
//	[ 5286.767884] [ 9] [  INFO] [ap]    PID        Size    Address Backtrace
//	[ 5286.769569] [ 9] [  INFO] [ap]     35          64 0x3c55d4d8 0x2c5b0ef6 0x2c5a9bee
//	[ 5286.771200] [ 9] [  INFO] [ap]   Total Blks  Total Size
//	[ 5286.772831] [ 9] [  INFO] [ap]            1          64
//
// The columns depend on version and configuration, so they are found by name:
//
//	Address Size                                     10.2
//	PID Size Address Backtrace                       10.3 to 12.2
//	PID Size Sequence Address Backtrace              12.3 to 12.9
//	PID Size Overhead Sequence Address Backtrace     12.10; some of them only if they are recorded
//	Size Address, Size Overhead Address              without CONFIG_MM_BACKTRACE or CONFIG_MM_RECORD
//
// Numbers are decimal, Address and Backtrace hexadecimal; the levels of a
// backtrace are padded to 10 or 18 characters, the address is not. Levels that
// were not recorded are left out, so rows differ in their number.
//
// Address is what the program holds. Size is the length of the node with its
// header (the TLSF heap subtracts the record behind the payload); what the
// program asked for is not shown. Overhead is the part of the size that is not
// the program's. A node is named by Address less Overhead, or by Address where
// that column is missing. The blocks of memory pools are listed in front of the
// nodes and in no order; their overhead lies behind the payload, but they are
// named in the same way, as nothing tells them from nodes. Versions before
// 12.10 also list the node that a pool cuts its blocks from.
//
// A listing of free nodes differs in its title only; it is passed over. One of
// some nodes (of a task, the biggest) names them in Pool, as far as its title
// does: before 12.10 a listing of one task has the title of one of all.
//
// A device with several heaps prints one listing after the other and names
// none; those that lie elsewhere than the first are called "heap 2" and so on.
//
// The listing goes to the system log, which can lag behind the shell, so a
// prompt may stand anywhere in it. One version prints no totals at the end;
// there the prompt is all that shows the end.
var nuttx = dialect{
	name:      "NuttX memdump",
	sample:    "PID  Size  Address  Backtrace",
	keys:      []string{"Address", "memory node info", "Memdump ", "orphan node"},
	boot:      []string{"NuttShell (NSH)"},
	unordered: true,
	heaps:     true,
	header:    nuttxHeader,
	row:       nuttxRow,
	end:       nuttxEnd,
	fragment:  addressesLast,
}

// nuttxLayout is what the header of a listing says about its rows.
type nuttxLayout struct {
	before []nuttxColumn // in front of the address, in order
	after  []nuttxColumn // behind the address and in front of the backtrace
	stacks bool          // there is a backtrace
	totals bool          // the line in front of the totals has come
}

type nuttxColumn uint8

const (
	nuttxPID nuttxColumn = iota
	nuttxSize
	nuttxOverhead
	nuttxSequence
	nuttxAddress
	nuttxBacktrace
	nuttxNone
)

func nuttxColumnOf(word []byte) nuttxColumn {
	switch string(word) {
	case "PID":
		return nuttxPID
	case "Size":
		return nuttxSize
	case "Overhead":
		return nuttxOverhead
	case "Sequence":
		return nuttxSequence
	case "Address":
		return nuttxAddress
	case "Backtrace", "Callstack":
		return nuttxBacktrace
	}
	return nuttxNone
}

// nuttxHeader accepts a line that ends in names of columns, among them Size
// and Address. These two alone can stand above any table: they need a title.
func nuttxHeader(line []byte, l *listing) bool {
	words := bytes.FieldsFunc(line, func(c rune) bool { return c < 0x80 && isSpace(byte(c)) })
	first := len(words)
	for first > 0 && nuttxColumnOf(words[first-1]) != nuttxNone {
		first--
	}
	layout := new(nuttxLayout)
	var seen [nuttxNone]bool
	for _, word := range words[first:] {
		c := nuttxColumnOf(word)
		switch {
		case seen[c] || layout.stacks:
			return false
		case c == nuttxBacktrace:
			layout.stacks = true
		case c == nuttxAddress:
		case seen[nuttxAddress]:
			layout.after = append(layout.after, c)
		default:
			layout.before = append(layout.before, c)
		}
		seen[c] = true
	}
	title := bytes.TrimSuffix(l.title, []byte("\n"))
	which := nuttxTitle(title[bytes.LastIndexByte(title, '\n')+1:])
	if !seen[nuttxSize] || !seen[nuttxAddress] || which == nuttxFree || which == "" && len(words)-first == 2 {
		return false
	}
	if which != nuttxAll {
		l.pool = which
	}
	l.layout = layout
	return true
}

// What nuttxTitle says besides names.
const (
	nuttxAll  = "all"
	nuttxFree = "free"
)

// nuttxTitle returns which nodes a listing with that title holds: nuttxAll,
// nuttxFree, a name for a part of them, or "" if line is no title.
func nuttxTitle(line []byte) string {
	switch {
	case bytes.Contains(line, []byte("Dump all used memory node info")):
		return nuttxAll
	case bytes.Contains(line, []byte("Dump all free memory node info")):
		return nuttxFree
	case bytes.Contains(line, []byte("Dump allocated orphan node")):
		return "orphan nodes"
	}
	_, what, _ := bytes.Cut(bytes.TrimSpace(line), []byte("Memdump "))
	word, rest, _ := bytes.Cut(what, []byte(" "))
	switch string(word) {
	case "task":
		if _, name, ok := bytes.Cut(rest, []byte("name: ")); ok {
			rest = name
		}
		if string(rest) == "ALL" {
			return nuttxAll
		}
		return "task " + nameOf(rest)
	case "leak":
		return "nodes of ended tasks"
	case "biggest":
		return "biggest nodes"
	case "mempool":
		return "memory pools"
	}
	return ""
}

// nuttxRow reads a row that begins the line, or that stands behind what a
// logger put there.
func nuttxRow(line []byte, l *listing) bool {
	layout := l.layout.(*nuttxLayout)
	var r nuttxValues
	i := 0
	for _, c := range layout.before {
		i = skipSpace(line, i)
		end := r.read(c, line, i)
		if end == i || end == len(line) || !isSpace(line[end]) {
			return nuttxBehind(line, l, layout)
		}
		i = end
	}
	i = skipSpace(line, i)
	if i+1 < len(line) && line[i] == '0' && line[i+1] == 'x' {
		return r.add(line, i, l, layout)
	}
	return nuttxBehind(line, l, layout)
}

// nuttxBehind looks for an address, and in front of it for the columns from
// right to left: a prefix can hold numbers, but rarely an address.
func nuttxBehind(line []byte, l *listing, layout *nuttxLayout) bool {
	address := bytes.Index(line, []byte("0x"))
	if address < 0 {
		return false
	}
	var r nuttxValues
	i := address
	for k := len(layout.before) - 1; k >= 0; k-- {
		end := i
		for end > 0 && isSpace(line[end-1]) {
			end--
		}
		start := end
		for start > 0 && !isSpace(line[start-1]) && end-start < 20 {
			start--
		}
		if end == i || start == end || r.read(layout.before[k], line, start) != end {
			return false
		}
		i = start
	}
	return (i == 0 || isSpace(line[i-1])) && r.add(line, address, l, layout)
}

// nuttxValues are the columns of a row but for the address.
type nuttxValues struct {
	pid, size, overhead, sequence uint64
	negative                      bool // the PID
}

// read reads one column at line[i:]. It returns the index behind it, or i.
func (r *nuttxValues) read(c nuttxColumn, line []byte, i int) int {
	start := i
	if c == nuttxPID && i < len(line) && line[i] == '-' {
		r.negative = true
		i++
	}
	v, end := parseDec(line, i)
	if end == i {
		return start
	}
	switch c {
	case nuttxPID:
		r.pid = v
	case nuttxSize:
		r.size = v
	case nuttxOverhead:
		r.overhead = v
	case nuttxSequence:
		r.sequence = v
	}
	return end
}

// add reads the address at line[i:] and what stands behind it, and adds the
// node to the listing.
func (r *nuttxValues) add(line []byte, i int, l *listing, layout *nuttxLayout) bool {
	address, end := parseHex(line, i)
	width := end - i
	if width == 0 || address == 0 || end < len(line) && !isSpace(line[end]) {
		return false
	}
	for _, c := range layout.after {
		i = skipSpace(line, end)
		end = r.read(c, line, i)
		if end == i || end < len(line) && !isSpace(line[end]) {
			return false
		}
	}
	if r.size == 0 {
		return false
	}
	levels, whole := 0, true
	if layout.stacks {
		levels, end, whole = nuttxLevels(line, end, l)
	}
	if rest := line[skipSpace(line, end):]; len(rest) > 0 {
		if bytes.HasPrefix(rest, []byte("skip block dump")) {
			l.remark("the blocks of memory pools are not listed")
			return false
		}
		whole = whole && !layout.stacks
	}
	start := address
	if r.overhead < uint64(address) {
		start -= heap.Addr(r.overhead)
	}
	n := l.add(start, levels, width)
	n.Payload, n.Total, n.Serial = address, r.size, r.sequence
	n.Owner = r.owner(l)
	if !whole {
		l.missing = 1
	}
	return true
}

// nuttxLevels reads the backtrace at line[i:] into l.lrs. It reports their
// number, where they end, and whether all are as wide as they should be.
func nuttxLevels(line []byte, i int, l *listing) (n, end int, whole bool) {
	whole = true
	for end = i; n < maxLevels; n++ {
		i = skipSpace(line, end)
		v, j := parseHex(line, i)
		if j == i || j < len(line) && !isSpace(line[j]) {
			break
		}
		whole = whole && padded(j-i)
		l.lrs[n] = v
		end = j
	}
	return n, end, whole
}

// owner returns the task. The idle task has the number 0, which elsewhere
// means nobody; negative numbers are no tasks.
func (r *nuttxValues) owner(l *listing) heap.Owner {
	o := heap.Owner(r.pid)
	switch {
	case r.negative && r.pid == 1:
		o = -o
		l.name(o, []byte("memory pools"))
	case r.negative:
		o = -o
	case o == 0 && l.layout.(*nuttxLayout).hasPID():
		l.name(o, []byte("idle task"))
	}
	return o
}

func (y *nuttxLayout) hasPID() bool { return len(y.before) > 0 && y.before[0] == nuttxPID }

// nuttxEnd waits for the line behind "Total Blks  Total Size", which holds the
// two.
func nuttxEnd(line []byte, l *listing) bool {
	layout := l.layout.(*nuttxLayout)
	if !layout.totals {
		layout.totals = bytes.Contains(line, []byte("Total Blks"))
		l.ended = l.ended || layout.totals || nuttxPrompt(line)
		return false
	}
	words := bytes.Fields(line)
	if len(words) < 2 {
		return false
	}
	blocks, n := parseDec(words[len(words)-2], 0)
	_, m := parseDec(words[len(words)-1], 0)
	if n != len(words[len(words)-2]) || m != len(words[len(words)-1]) {
		return false
	}
	if blocks <= maxNodes {
		l.announced = int(blocks)
	}
	return true
}

// nuttxPrompt recognises "nsh> " and what products make of it: a name at the
// start of the line.
func nuttxPrompt(line []byte) bool {
	i := 0
	for i < len(line) && (line[i]|0x20 >= 'a' && line[i]|0x20 <= 'z' || line[i] >= '0' && line[i] <= '9') {
		i++
	}
	return i > 0 && i+1 < len(line) && line[i] == '>' && line[i+1] == ' '
}
