package image

import (
	"bytes"
	"debug/elf"
	"errors"
	"io"
	"strings"
	"testing"

	"github.com/heapwright/heapwright/heap"
)

func TestWriteRepaired(t *testing.T) {
	core := coreFile{machine: elf.EM_ARM, loads: []chunk{
		{addr: 0x14, data: []byte("first")}, {addr: 0x10, data: []byte("second...........")}, {addr: 0x100, data: []byte("third")},
	}}
	file := core.encode()
	repaired := coreFile{machine: elf.EM_ARM, loads: []chunk{
		{addr: 0x14, data: []byte("FIRsT")}, {addr: 0x10, data: []byte("seCOnd...!.......")}, {addr: 0x100, data: []byte("thirD")},
	}}
	for name, c := range map[string]struct {
		file, want string
		base       heap.Addr
		repairs    []heap.Memory
	}{
		"raw":     {"0123456789", "0ab34567c9", 0x1000, []heap.Memory{{Addr: 0x1008, Bytes: []byte("c")}, {Addr: 0x1001, Bytes: []byte("ab")}}},
		"nothing": {"0123456789", "0123456789", 0x1000, []heap.Memory{{Addr: 5}}},
		"all":     {"0123456789", "abcdefghij", 0x1000, []heap.Memory{{Addr: 0x1000, Bytes: []byte("abcde")}, {Addr: 0x1005, Bytes: []byte("fghij")}}},
		"gzip":    {string(packed([]byte("0123"))), "012x", 0, []heap.Memory{{Addr: 3, Bytes: []byte("x")}}},
		"core": {string(file), string(repaired.encode()), 0, []heap.Memory{
			{Addr: 0x18, Bytes: []byte("T!")}, {Addr: 0x12, Bytes: []byte("COFIR")}, {Addr: 0x104, Bytes: []byte("D")},
		}},
		"packed core": {string(packed(file)), string(repaired.encode()), 0, []heap.Memory{
			{Addr: 0x12, Bytes: []byte("COFIRsT!")}, {Addr: 0x104, Bytes: []byte("D")},
		}},
	} {
		var o Options
		if c.base != 0 {
			o.Base = &c.base
		}
		m := must(t, []byte(c.file), o)
		before := bytes.Clone(m.Spans()[0].Bytes)
		var b bytes.Buffer
		if err := m.WriteRepaired(&b, c.repairs); err != nil || b.String() != c.want {
			t.Errorf("%s: %q instead of %q, %v", name, b.String(), c.want, err)
		}
		if !bytes.Equal(m.Spans()[0].Bytes, before) {
			t.Errorf("%s: the image was changed", name)
		}
	}
}

func TestWriteRepairedRefused(t *testing.T) {
	m := must(t, []byte("0123456789"), Options{})
	for name, repairs := range map[string][]heap.Memory{
		"behind":      {{Addr: 10, Bytes: []byte("a")}},
		"reaches out": {{Addr: 0, Bytes: []byte("b")}, {Addr: 9, Bytes: []byte("ab")}},
		"wraps":       {{Addr: ^heap.Addr(0), Bytes: []byte("ab")}},
		"twice":       {{Addr: 3, Bytes: []byte("abc")}, {Addr: 5, Bytes: []byte("c")}},
	} {
		var b bytes.Buffer
		if err := m.WriteRepaired(&b, repairs); err == nil || b.Len() > 0 {
			t.Errorf("%s: %q, %v", name, b.String(), err)
		}
	}
	_, full := io.Pipe()
	full.Close()
	if err := m.WriteRepaired(full, nil); !errors.Is(err, io.ErrClosedPipe) {
		t.Errorf("%v", err)
	}
	text := must(t, intelHex([]Segment{{Bytes: []byte("abc")}}, 16), Options{})
	if err := text.WriteRepaired(io.Discard, nil); !errors.Is(err, ErrNoCopy) {
		t.Errorf("text: %v", err)
	}
	two, err := OpenAll([]string{write(t, "a", []byte("a")) + "@0x1", write(t, "b", []byte("b")) + "@0x2"}, Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer two.Close()
	if err := two.WriteRepaired(io.Discard, nil); !errors.Is(err, ErrNoCopy) {
		t.Errorf("two files: %v", err)
	}
}

func TestSegment(t *testing.T) {
	m := must(t, (&coreFile{loads: []chunk{{addr: 0x10, data: []byte("abc")}, {addr: 0x13, data: []byte("de")}, {addr: 0x20, data: []byte("f")}}}).encode(), Options{})
	for addr, want := range map[heap.Addr]string{0: "", 0xf: "", 0x10: "abc", 0x12: "abc", 0x13: "de", 0x15: "", 0x1f: "", 0x20: "f", 0x21: "", ^heap.Addr(0): ""} {
		got := ""
		if s := m.Segment(addr); s != nil {
			got = string(s.Bytes)
		}
		if got != want {
			t.Errorf("at %s: %q", addr, got)
		}
	}
	if !strings.Contains(m.Format(), "core") {
		t.Error(m.Format())
	}
}
