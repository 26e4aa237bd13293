package console

import (
	"bytes"

	"github.com/heapwright/heapwright/heap"
)

// LiteOS 5.0, shell command memused, bestfit heap with LOSCFG_MEM_LEAKCHECK.
// Source: kernel/base/mem/bestfit/los_memory.c and the shell of LiteOS 5.0.0,
// and logs of realview-pbx-a9 and qemu-virt-a53.
//
//	Huawei LiteOS # memused
//	node            LR[0]       LR[1]       LR[2]
//	0x00056bac:  0x00011ea0  0x00021744  0x000113dc
//	0x00058b44:  0x00015e60  0x00011fc8  0x00000000
//	                                                    <- blank line
//	 exc interaction memory                             <- only with a second pool
//	node            LR[0]       LR[1]       LR[2]
//	0x00157bac:  0x0002ea60  0x0002e3ac  (nil)
//	                                                    <- blank line
//	Huawei LiteOS #
//
// Addresses are padded to 10 characters on 32-bit and to 18 on 64-bit devices,
// so a shorter one has lost digits. Rows come in ascending order, each with as
// many LRs as the header names: one with fewer was damaged, and is left out and
// counted, as its node would pass for one of another call site. A row is
// printed piece by piece, so on a multi-core device the output of another task
// can end up inside one.
var liteos = dialect{
	name:     "LiteOS memused",
	sample:   "node  LR[0]  LR[1]  LR[2]",
	keys:     []string{"LR[0]", liteosExcPool},
	boot:     []string{"Hello Huawei LiteOS", "LiteOS Kernel Version", "main core booting up", "U-Boot SPL", "U-Boot 20"},
	header:   liteosHeader,
	row:      liteosRow,
	stray:    liteosStray,
	resume:   liteosResume,
	fragment: liteosFragment,
	prompt:   func(line []byte) bool { return bytes.Contains(line, []byte("LiteOS # ")) || ohosPrompt(line) },
	pool: func(line []byte) (string, bool) {
		return liteosExcPool, bytes.HasSuffix(bytes.TrimSpace(line), []byte(liteosExcPool))
	},
}

const liteosExcPool = "exc interaction memory"

// liteosHeader accepts "node" or "pstNode" directly followed by LR[0], LR[1]
// and so on: a column in between makes it another dialect.
func liteosHeader(line []byte, l *listing) bool {
	i := bytes.Index(line, []byte("LR[0]"))
	if i < 0 {
		return false
	}
	before := bytes.TrimRight(line[:i], " \t\r\x00")
	if len(before) == i {
		return false
	}
	word := before
	if j := bytes.LastIndexAny(before, " \t\r\x00"); j >= 0 {
		word = before[j+1:]
	}
	if string(word) != "node" && string(word) != "pstNode" {
		return false
	}
	l.levels = liteosHeaderLevels(line[i:])
	return l.levels > 0
}

// liteosHeaderLevels counts the columns "LR[0]  LR[1]" that begin the line.
func liteosHeaderLevels(line []byte) (levels int) {
	i := 0
	for levels < maxLevels && i < len(line) {
		n := len("LR[")
		if !bytes.HasPrefix(line[i:], []byte("LR[")) {
			break
		}
		number := 0
		for ; i+n < len(line) && line[i+n] >= '0' && line[i+n] <= '9' && number < maxLevels; n++ {
			number = number*10 + int(line[i+n]-'0')
		}
		if number != levels || i+n >= len(line) || line[i+n] != ']' {
			break
		}
		levels++
		i = skipSpace(line, i+n+1)
	}
	return levels
}

// liteosRow reads every row in the line. Nearly always that is one, from the
// first column on; but a logger may have put something in front, and lost line
// ends may have joined several.
func liteosRow(line []byte, l *listing) bool {
	addr, width, n, end := liteosRowAt(line, 0, l.width, l.lrs[:])
	if width > 0 && skipSpace(line, end) == len(line) {
		l.add(addr, n, width)
		return true
	}
	found := false
	for i := 0; ; {
		j := bytes.Index(line[i:], []byte("0x"))
		if j < 0 {
			return found
		}
		i += j
		addr, width, n, end = liteosRowAt(line, i, l.width, l.lrs[:])
		if width > 0 && (n > 0 || i == 0) {
			l.add(addr, n, width)
			found = true
			i = end
		} else {
			i += 2
		}
	}
}

// liteosRowAt reads "ADDRESS:  LR  LR" at line[i:] into lrs[:n]. The width
// wanted is that of the listing's first row, 0 before it; the width returned
// is the address's in characters, 0 if there is no row.
func liteosRowAt(line []byte, i, wanted int, lrs []heap.Addr) (addr heap.Addr, width, n, end int) {
	addr, end = parseHex(line, i)
	width = end - i
	if width == 0 || end == len(line) || line[end] != ':' || padded(wanted) && width != wanted {
		return 0, 0, 0, i
	}
	end++
	if end < len(line) && !isSpace(line[end]) {
		return 0, 0, 0, i
	}
	n, end = liteosLevels(line, end, width, lrs)
	return addr, width, n, end
}

func liteosStray(line []byte) bool {
	var lrs [2]heap.Addr
	if len(line) == 0 || line[0] != '0' {
		return false
	}
	_, _, n, _ := liteosRowAt(line, 0, 0, lrs[:])
	return n == len(lrs)
}

// liteosLevels reads stack levels at line[i:] into lrs, as many as there are,
// and returns their number and the index behind the last one. In a listing
// with padded addresses, one that is not as wide as the others is not read.
func liteosLevels(line []byte, i, width int, lrs []heap.Addr) (n, end int) {
	for end = i; n < len(lrs); n++ {
		i = skipSpace(line, end)
		v, j := parseHex(line, i)
		switch {
		case j > i && (j-i == width || !padded(width)):
		case bytes.HasPrefix(line[i:], []byte("(nil)")):
			v, j = 0, i+len("(nil)")
		default:
			return n, end
		}
		if j < len(line) && !isSpace(line[j]) {
			return n, end
		}
		lrs[n] = v
		end = j
	}
	return n, end
}

func liteosResume(line []byte, l *listing) bool {
	have := l.levels - l.missing
	n, end := liteosLevels(line, 0, l.width, l.lrs[have:l.levels])
	if n == 0 || skipSpace(line, end) != len(line) {
		return false
	}
	l.extend(have + n)
	return true
}

// liteosFragment accepts a line that holds an address and nothing but the
// characters that rows are made of: other tasks print words. Behind something
// else, as a logger may put it in front, it takes two addresses of full width.
func liteosFragment(line []byte) bool {
	return remains(line) || wreck(line)
}

// wreck reports whether the line ends in what a row is made of, with two
// addresses of full width.
func wreck(line []byte) bool {
	i := bytes.Index(line, []byte("0x"))
	if i < 0 || !remains(line[i:]) {
		return false
	}
	whole := 0
	for ; i < len(line); i++ {
		_, end := parseHex(line, i)
		if padded(end - i) {
			whole++
		}
		i = max(i, end-1)
	}
	return whole >= 2
}

// remains reports whether the line holds an address and nothing but the
// characters of rows.
func remains(line []byte) bool {
	line = bytes.TrimSpace(line)
	if len(line) < 8 || !bytes.Contains(line, []byte("0x")) {
		return false
	}
	for _, c := range line {
		if hexDigit[c] > 15 && !isSpace(c) && bytes.IndexByte([]byte("x:()nil"), c) < 0 {
			return false
		}
	}
	return true
}
