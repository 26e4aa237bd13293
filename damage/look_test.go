package damage

import (
	"encoding/binary"
	"fmt"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/heapwright/heapwright/heap"
)

// memoryMap is a map of a device's memory.
func memoryMap(a heap.Addr) string {
	switch {
	case a >= 0x2000_0000 && a < 0x2000_0400:
		return "the payload of node 0x20000000"
	case a >= 0x2000_0400 && a < 0x2000_0800:
		return "the payload of node 0x20000400"
	case a >= 0x0800_0000 && a < 0x0801_0000:
		return "code: function main"
	case a >= 0x7fff_0000_0000 && a < 0x7fff_0001_0000:
		return "the stack of thread 1"
	}
	return ""
}

// words appends numbers of 4 bytes each.
func words(order binary.AppendByteOrder, all ...uint32) (b []byte) {
	for _, v := range all {
		b = order.AppendUint32(b, v)
	}
	return b
}

// wide is text in UTF-16.
func wide(text string) (b []byte) {
	for _, c := range []byte(text) {
		b = append(b, c, 0)
	}
	return b
}

func TestLooks(t *testing.T) {
	little, big := binary.LittleEndian, binary.BigEndian
	for _, d := range []struct {
		name  string
		b     []byte
		set   func(*Overwrite)
		looks string
	}{
		{"zeroes", make([]byte, 12), nil, "zeroes"},
		{"byte", []byte("AAAAAAAA"), nil, "byte 'A' (0x41) repeated"},
		{"high byte", []byte{0xff, 0xff, 0xff, 0xff}, nil, "byte 0xff repeated"},
		{"text", []byte("GET /index.html\x00"), nil, `text "GET /index.html"`},
		{"long text", []byte(strings.Repeat("0123456789", 10)), nil, `text "` + strings.Repeat("0123456789", 6) + `0123"... (100 bytes)`},
		{"UTF-16", wide("Serial No 7\x00"), nil, `UTF-16 text "Serial No 7"`},
		{"pattern of two bytes", []byte{0xa5, 0x5a, 0xa5, 0x5a, 0xa5, 0x5a, 0xa5, 0x5a}, nil, "0x5aa5 repeated"},
		{"pattern of four", words(little, 0xdeadbeef, 0xdeadbeef, 0xdeadbeef), nil, "0xdeadbeef repeated"},
		{"pattern, big endian", words(big, 0xdeadbeef, 0xdeadbeef, 0xdeadbeef), func(o *Overwrite) { o.BigEndian = true }, "0xdeadbeef repeated"},
		{"pattern that is a pointer", words(little, 0x20000010, 0x20000010, 0x20000010), nil, "3 pointers into the payload of node 0x20000000"},
		{"pointers", words(little, 0x20000010, 0x20000020, 0x20000031), nil, "3 pointers into the payload of node 0x20000000"},
		{"one pointer", words(little, 0x08000101), nil, "1 pointer into code: function main"},
		{"pointers to several places", words(little, 0x20000010, 0x08000101, 0x20000408, 0x20000410), nil, "4 pointers: 2 into the payload of node 0x20000400, 1 into the payload of node 0x20000000, 1 into code: function main"},
		{"pointers and zeroes", words(little, 0x20000010, 0, 0, 0x20000020), nil, "2 pointers into the payload of node 0x20000000"},
		{"a structure", words(little, 0x20000010, 0x12345678, 0x20000020), nil, "3 words of which 2 are pointers: 2 into the payload of node 0x20000000"},
		{"no majority", words(little, 0x20000010, 0x92345678, 0x94a95677), nil, "bytes 10 00 00 20 78 56 34 92 77 56 a9 94"},
		{"pointers, big endian", words(big, 0x20000010, 0x20000020), func(o *Overwrite) { o.BigEndian = true }, "2 pointers into the payload of node 0x20000000"},
		{"pointers of 8 bytes", words(little, 0x00000010, 0x7fff, 0x00000100, 0x7fff), func(o *Overwrite) { o.Word = 8 }, "2 pointers into the stack of thread 1"},
		{"far away", words(little, 0x00000010, 0x7fff, 0x00000100, 0x7fff), func(o *Overwrite) { o.At = 0x7fff_0000_0100 }, "2 pointers into the stack of thread 1"},
		{"without a map", words(little, 0x30000010, 0x30000020), func(o *Overwrite) { o.Where = nil; o.At = 0x30001000 }, "2 of 2 words look like pointers into the heap"},
		{"integers", words(little, 1, 0, 0xffffffff, 4000), nil, "small integers 1, 0, -1, 4000"},
		{"one integer", words(little, 12), nil, "small integer 12"},
		{"many integers", words(little, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10), nil, "small integers 1, 2, 3, 4, 5, 6, 7, 8, ... (10)"},
		{"a large one", words(little, 1, 2, 99999, 4), nil, "bytes 01 00 00 00 02 00 00 00 9f 86 01 00 04 00 00 00"},
		{"a copy", words(little, 1, 2), func(o *Overwrite) {
			o.CopyOf = func(first, end int) string { return fmt.Sprint("the head of node 0x500, ", first, " to ", end) }
		}, "a copy of the head of node 0x500, 0 to 8"},
		{"no copy", words(little, 1, 2), func(o *Overwrite) { o.CopyOf = func(int, int) string { return "" } }, "small integers 1, 2"},
	} {
		t.Run(d.name, func(t *testing.T) {
			o := overwrite(d.b)
			if d.set != nil {
				d.set(o)
			}
			var f heap.Finding
			if o.Explain(&f) == nil {
				t.Fatal("nothing is found")
			}
			if f.Reach != d.looks {
				t.Errorf("%s\nwant %s", f.Reach, d.looks)
			}
			if !strings.Contains(f.Cause, d.looks) {
				t.Errorf("cause %q", f.Cause)
			}
		})
	}
}

// overwrite is a head whose bytes should all differ from what is there.
func overwrite(have []byte) *Overwrite {
	o := &Overwrite{At: 0x2000_0400, Have: have, Want: make([]byte, len(have)), Known: make([]bool, len(have)), Where: memoryMap}
	for i, b := range have {
		o.Want[i], o.Known[i] = ^b, true
	}
	return o
}

// Words that are as they should be say nothing about what was written, and the
// bytes of a word that happen to be right belong to it.
func TestLooksAtWords(t *testing.T) {
	have := words(binary.LittleEndian, 0x20000010, 0x92345678, 0x94a95677, 0x20000020)
	o := overwrite(have)
	copy(o.Want[4:12], have[4:12])
	o.Want[3] = have[3] // the top byte of the first pointer
	o.Want[15] = have[15]
	var f heap.Finding
	o.Explain(&f)
	if want := "2 pointers into the payload of node 0x20000000"; f.Reach != want {
		t.Errorf("%s, want %s", f.Reach, want)
	}
	if f.Span.Start != o.At || f.Span.End != o.At+15 {
		t.Errorf("span %+v: bytes that are right are not in it", f.Span)
	}
}

// Random bytes are hardly ever taken for something.
func TestLooksAtNoise(t *testing.T) {
	taken := 0
	const times = 20000
	state := uint64(1)
	for range times {
		b := make([]byte, 16)
		for i := range b {
			state = state*6364136223846793005 + 1442695040888963407
			b[i] = byte(state >> 56)
		}
		var f heap.Finding
		if overwrite(b).Explain(&f); !strings.HasPrefix(f.Reach, "bytes ") {
			taken++
		}
	}
	if taken > times/1000 {
		t.Errorf("%d of %d random heads look like something", taken, times)
	}
}

// Whatever the bytes, the address and the word size, there is an answer.
func TestLooksAtAnything(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		b := rapid.SliceOfN(rapid.Byte(), 1, 80).Draw(t, "bytes")
		o := overwrite(b)
		o.At = heap.Addr(rapid.Uint64().Draw(t, "address"))
		o.Word = rapid.SampledFrom([]int{0, 4, 8, 3, -1}).Draw(t, "word")
		o.BigEndian = rapid.Bool().Draw(t, "big endian")
		for i := range b {
			o.Known[i] = rapid.Bool().Draw(t, fmt.Sprint("known ", i))
		}
		var f heap.Finding
		if o.Explain(&f) != nil && f.Reach == "" {
			t.Error("no answer")
		}
	})
}
