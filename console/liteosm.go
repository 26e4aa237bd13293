package console

import (
	"bytes"

	"github.com/heapwright/heapwright/heap"
)

// OpenHarmony LiteOS-M, LOS_MemUsedNodeShow, TLSF heap with
// LOSCFG_MEM_LEAKCHECK; and memused of the Huawei LiteOS that followed 5.0,
// whose best-fit heap prints the same columns. Sources: los_memory.c of both
// kernels and the listing in OpenHarmony's documentation.
//
//	node          size        LR[0]       LR[1]       LR[2]
//	0x20001b04: 0x24  0x8001a10  0x80035ce  0x80028fc              <- LiteOS-M
//	0x20001b04:  0x24   0x08001a10  0x080035ce  0x080028fc         <- in the documentation
//	0x802d79e4  120     :  0x8011d740  0x8011a990  0x0             <- Huawei LiteOS
//
// The address is the start of the node, and size its length with the header.
// Nothing is padded with zeros, so lost digits show only in the order of
// addresses. LiteOS-M prints with interrupts off: other output means that the
// listing is over. It is often called by a program and then followed by no
// prompt and no blank line.
var liteosM = dialect{
	name:     "OpenHarmony LiteOS-M memused",
	sample:   "node  size  LR[0]  LR[1]  LR[2]",
	keys:     []string{"LR[0]"},
	boot:     []string{"entering kernel init"},
	header:   liteosMHeader,
	row:      liteosMRow,
	end:      liteosMEnd,
	stray:    liteosMStray,
	resume:   liteosMResume,
	fragment: addressesLast,
	prompt:   func(line []byte) bool { return ohosPrompt(line) || bytes.Contains(line, []byte("LiteOS # ")) },
}

// liteosMHeader accepts the header of LiteOS with "size" in front of LR[0].
func liteosMHeader(line []byte, l *listing) bool {
	i := bytes.Index(line, []byte("LR[0]"))
	if i < 0 {
		return false
	}
	before := bytes.TrimRight(line[:i], " \t\r\x00")
	word := bytes.TrimSuffix(before, []byte("size"))
	if len(before) == i || len(word) == len(before) {
		return false
	}
	word = bytes.TrimRight(word, " \t\r\x00")
	if !bytes.HasSuffix(word, []byte("node")) || len(word) > 4 && !isSpace(word[len(word)-5]) {
		return false
	}
	l.levels = liteosHeaderLevels(line[i:])
	return l.levels > 0
}

func liteosMRow(line []byte, l *listing) bool {
	found := false
	for i := 0; ; {
		j := bytes.Index(line[i:], []byte("0x"))
		if j < 0 {
			return found
		}
		i += j
		r, ok := liteosMRowAt(line, i, l.lrs[:l.levels])
		if !ok {
			i += 2
			continue
		}
		l.add(r.addr, r.levels, r.width).Total = r.size
		if l.unfinished {
			l.missing = max(l.missing, 1) // the last number may have lost digits
		}
		found = true
		i = r.end
	}
}

type liteosMValues struct {
	addr   heap.Addr
	width  int // of the address in characters
	size   uint64
	levels int
	end    int // of the row in the line
}

// liteosMRowAt reads "ADDRESS: 0xSIZE  LR  LR" or "ADDRESS  SIZE :  LR  LR" at
// line[i:].
func liteosMRowAt(line []byte, i int, lrs []heap.Addr) (r liteosMValues, ok bool) {
	addr, end := parseHex(line, i)
	if end == i || end == len(line) {
		return r, false
	}
	r.addr, r.width = addr, end-i
	if line[end] == ':' {
		i = skipSpace(line, end+1)
		v, j := parseHex(line, i)
		ok = j > i && i > end+1
		r.size, end = uint64(v), j
	} else {
		i = skipSpace(line, end)
		v, j := parseDec(line, i)
		colon := skipSpace(line, j)
		ok = j > i && i > end && colon < len(line) && line[colon] == ':'
		r.size, end = v, colon+1
	}
	if !ok || r.size == 0 || end < len(line) && !isSpace(line[end]) {
		return r, false
	}
	r.levels, r.end = liteosLevels(line, end, 0, lrs)
	return r, true
}

// liteosMEnd notes that other output means the end; but in front of a header
// there is a blank line, so a header alone shows that text was lost.
func liteosMEnd(line []byte, l *listing) bool {
	l.ended = l.ended || !l.unfinished && !addressesLast(line) && !bytes.Contains(line, []byte("LR[0]"))
	return false
}

// addressesLast reports whether the line ends in addresses, two at least, and
// what stands between the columns of a row.
func addressesLast(line []byte) bool {
	i := bytes.Index(line, []byte("0x"))
	if i < 0 {
		return false
	}
	return bytes.Contains(line[i+2:], []byte("0x")) && remains(line[i:])
}

func liteosMStray(line []byte) bool {
	if len(line) == 0 || line[0] != '0' {
		return false
	}
	var lrs [2]heap.Addr
	r, ok := liteosMRowAt(line, 0, lrs[:])
	return ok && r.levels == len(lrs) && r.size < 1<<24
}

func liteosMResume(line []byte, l *listing) bool {
	have := l.levels - l.missing
	n, end := liteosLevels(line, 0, 0, l.lrs[have:l.levels])
	if n == 0 || skipSpace(line, end) != len(line) {
		return false
	}
	l.extend(have + n)
	return true
}
