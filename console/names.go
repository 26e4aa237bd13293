package console

import (
	"bytes"
	"strings"

	"github.com/heapwright/heapwright/heap"
	"github.com/heapwright/heapwright/internal/plain"
)

const (
	// maxNames bounds the addresses whose functions are remembered, and
	// maxInlined the functions inlined at one of them.
	maxNames   = 20_000
	maxInlined = 8
	// maxPath bounds the name of a source file, in bytes.
	maxPath = 256
	// espidfCall is how much lower than its return address ESP-IDF prints a
	// level of a backtrace.
	espidfCall = 3
)

// Names are the functions that a log itself gives for addresses. ESP-IDF's
// monitor looks up the addresses that a device prints and writes, behind their
// line, as addr2line does,
//
//	--- 0x400d2776: leak_some_memory at /build/main/blink.c:27
//	--- (inlined by) blink_task at /build/main/blink.c:52
//	--- 0x40008544: ets_printf in ROM
//
// and before version 5.1 the same without dashes. Names implements
// heap.Symbolizer. The zero value is ready for use; a Reader adds to it. It must
// not be used from several goroutines at a time. What is said of an address
// first counts, and there are at most 20,000 of them.
type Names struct {
	frames map[heap.Addr][]heap.Frame
	last   heap.Addr // given its first function in line at
	at     int
}

// Len returns the number of addresses that have names.
func (n *Names) Len() int { return len(n.frames) }

// Frames returns the functions of an address as the log gives them.
func (n *Names) Frames(lr heap.Addr) []heap.Frame {
	known := n.frames[lr]
	if known == nil && lr >= espidfCall {
		known = n.frames[lr-espidfCall]
	}
	if known == nil {
		return []heap.Frame{{Addr: lr}}
	}
	frames := make([]heap.Frame, len(known))
	for i, f := range known {
		f.Addr, f.Inlined = lr, i < len(known)-1
		frames[i] = f
	}
	return frames
}

// line takes in a line, if it is one of the monitor's.
func (n *Names) line(line []byte, number int) {
	text := bytes.TrimPrefix(line, []byte("--- "))
	addr, end := parseHex(text, 0)
	if end > 0 && bytes.HasPrefix(text[end:], []byte(": ")) {
		if f, ok := monitorFrame(text[end+2:]); ok && n.frames[addr] == nil && len(n.frames) < maxNames {
			if n.frames == nil {
				n.frames = make(map[heap.Addr][]heap.Frame)
			}
			n.frames[addr] = []heap.Frame{f}
			n.last, n.at = addr, number
		}
		return
	}
	outer, ok := bytes.CutPrefix(bytes.TrimLeft(text, " "), []byte("(inlined by) "))
	if known := n.frames[n.last]; ok && number == n.at+1 && len(known) > 0 && len(known) < maxInlined {
		if f, ok := monitorFrame(outer); ok {
			n.frames[n.last] = append(known, f)
			n.at = number
		}
	}
}

// monitorFrame reads "FUNCTION at FILE:LINE" or "FUNCTION in ROM". An unknown
// function is ?? and an unknown line ?.
func monitorFrame(text []byte) (f heap.Frame, ok bool) {
	text = bytes.TrimRight(text, " \t\r\x00")
	safe := func(b []byte, most int) string {
		return plain.Clean(strings.ToValidUTF8(string(b[:min(len(b), most)]), "?"))
	}
	if name, rom := bytes.CutSuffix(text, []byte(" in ROM")); rom {
		f.Function = safe(name, maxPath)
		return f, len(name) > 0
	}
	name, place, ok := bytes.Cut(text, []byte(" at "))
	if !ok || len(name) == 0 || name[0] == '?' {
		return f, false
	}
	f.Function = safe(name, maxPath)
	place, _, _ = bytes.Cut(place, []byte(" (discriminator "))
	colon := bytes.LastIndexByte(place, ':')
	if colon <= 0 || place[0] == '?' {
		return f, len(place) > 0
	}
	f.File = safe(place[:colon], maxPath)
	if v, end := parseDec(place, colon+1); end == len(place) && v <= 1<<30 {
		f.Line = int(v)
	}
	return f, true
}
