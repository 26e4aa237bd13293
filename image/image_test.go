package image

import (
	"bytes"
	"compress/gzip"
	"encoding/binary"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/heapwright/heapwright/heap"
)

// dumps are RAM dumps of LiteOS devices, from the pool's address to its end.
var dumps = []struct {
	file string
	base heap.Addr
}{
	{"leak-after.bin.gz", 0x568c0},
	{"both-clean.bin.gz", 0x578c0},
	{"both-overflow-header.bin.gz", 0x578c0},
	{"both-overflow-small16.bin.gz", 0x578c0},
}

// must returns what Read makes of b.
func must(t testing.TB, b []byte, o Options) *Image {
	t.Helper()
	m, err := Read("test", bytes.NewReader(b), o)
	if err != nil {
		t.Fatal(err)
	}
	return m
}

// write writes a file and returns its path.
func write(t testing.TB, name string, b []byte) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(path, b, 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// mustOpen opens a file and closes it with the test.
func mustOpen(t testing.TB, path string, o Options) *Image {
	t.Helper()
	m, err := Open(path, o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { m.Close() })
	return m
}

// A LiteOS pool head begins with its own address, so a dump that is read right
// has it where it says.
func TestDumps(t *testing.T) {
	for _, d := range dumps {
		path := filepath.Join("testdata", d.file)
		m := mustOpen(t, path, Options{})
		if m.Based() || m.Format() != "raw, gzip" || m.Partial() != "" || m.Order() != nil || m.PointerSize() != 0 {
			t.Errorf("%s: based %v, format %q, partial %q, order %v", d.file, m.Based(), m.Format(), m.Partial(), m.Order())
		}
		if err := m.Rebase(d.base); err != nil || !m.Based() {
			t.Errorf("%s: %v", d.file, err)
		}
		f, err := os.Open(path)
		if err != nil {
			t.Fatal(err)
		}
		defer f.Close()
		z, err := gzip.NewReader(f)
		if err != nil {
			t.Fatal(err)
		}
		want, err := io.ReadAll(z)
		if err != nil {
			t.Fatal(err)
		}
		if got := m.View(d.base, uint64(len(want))); !bytes.Equal(got, want) {
			t.Errorf("%s: %d bytes of %d, or other ones", d.file, len(got), len(want))
		}
		if self := m.View(d.base, 4); heap.Addr(binary.LittleEndian.Uint32(self)) != d.base {
			t.Errorf("%s: the pool says % x about itself", d.file, self)
		}
		again := mustOpen(t, path, Options{Base: &d.base})
		if !again.Based() || again.View(d.base, 1) == nil || again.View(0, 1) != nil {
			t.Errorf("%s: not at the address given", d.file)
		}
	}
}

func TestView(t *testing.T) {
	base := heap.Addr(0x1000)
	m := must(t, []byte("0123456789"), Options{Base: &base})
	for _, c := range []struct {
		addr heap.Addr
		n    uint64
		want string // "-": nil
	}{
		{0x1000, 10, "0123456789"},
		{0x1003, 4, "3456"},
		{0x1009, 1, "9"},
		{0x1000, 11, "-"},
		{0x1009, 2, "-"},
		{0x100a, 1, "-"},
		{0x100a, 0, "-"},
		{0xfff, 1, "-"},
		{0xfff, 2, "-"},
		{0, 0, "-"},
		{0x1005, 0, ""},
		{0x1005, ^uint64(0), "-"},
		{0x1005, ^uint64(0x1004), "-"},
		{^heap.Addr(0), 1, "-"},
		{^heap.Addr(0), ^uint64(0), "-"},
	} {
		got := m.View(c.addr, c.n)
		if (got == nil) != (c.want == "-") || got != nil && string(got) != c.want {
			t.Errorf("%d bytes at %s: %q instead of %q", c.n, c.addr, got, c.want)
		}
		if cap(got) != len(got) {
			t.Errorf("%d bytes at %s: appending to them would overwrite the image", c.n, c.addr)
		}
	}
	if n := testing.AllocsPerRun(100, func() { m.View(0x1003, 4) }); n != 0 {
		t.Errorf("View allocates %v times", n)
	}
}

func TestRebase(t *testing.T) {
	m := must(t, []byte("0123"), Options{})
	if m.View(0, 4) == nil || m.Based() {
		t.Error("an image without base does not begin at 0")
	}
	for base, ok := range map[heap.Addr]bool{0: true, 0x8000: true, ^heap.Addr(0) - 4: true, ^heap.Addr(0) - 3: false, ^heap.Addr(0): false} {
		if err := m.Rebase(base); (err == nil) != ok {
			t.Errorf("to %s: %v", base, err)
		}
		if ok && (string(m.View(base+1, 3)) != "123" || m.Segments()[0].Addr != base) {
			t.Errorf("not at %s", base)
		}
	}
	h := must(t, intelHex([]Segment{{Addr: 0x100, Bytes: []byte("abc")}}, 16), Options{})
	if h.Rebase(0) == nil || !h.Based() {
		t.Error("Intel HEX can be moved")
	}
}

func TestBaseRefused(t *testing.T) {
	for base, b := range map[heap.Addr][]byte{
		^heap.Addr(0) - 2: []byte("abc"),
		0:                 intelHex([]Segment{{Bytes: []byte("abc")}}, 16),
		1:                 sRecords([]Segment{{Bytes: []byte("abc")}}, 16),
		2:                 (&coreFile{loads: []chunk{{addr: 4, data: []byte("abc")}}}).encode(),
	} {
		if _, err := Read("x", bytes.NewReader(b), Options{Base: &base}); err == nil {
			t.Errorf("at %s it is accepted", base)
		}
	}
}

func TestSplitBase(t *testing.T) {
	for path, want := range map[string]struct {
		name string
		base heap.Addr
	}{
		"ram@0x80000000":          {"ram", 0x80000000},
		"a@b@0x0":                 {"a@b", 0},
		"x@0xffffffffffffffff":    {"x", ^heap.Addr(0)},
		"ram@0xFF":                {"ram", 0xff},
		"ram@0x10000000000000000": {"ram@0x10000000000000000", 1},
		"ram@4096":                {"ram@4096", 1},
		"ram@0x":                  {"ram@0x", 1},
		"ram@0x1_0":               {"ram@0x1_0", 1},
		"user@host":               {"user@host", 1},
		"ram":                     {"ram", 1},
		"":                        {"", 1},
	} {
		name, base := SplitBase(path)
		if name != want.name || (base == nil) != (want.base == 1) || base != nil && *base != want.base {
			t.Errorf("%q is %q at %v", path, name, base)
		}
	}
}

func TestOpenAll(t *testing.T) {
	core := coreFile{wide: true, loads: []chunk{{addr: 0x2000, data: []byte("core")}}}
	core.thread(7, make([]uint64, 27))
	core.machine = 62
	paths := []string{
		write(t, "core", core.encode()),
		write(t, "a", []byte("aaaaaaaa")) + "@0x1ffe",
		write(t, "b", []byte("bbbb")) + "@0x2006",
		write(t, "c.gz", packed([]byte("cccc"))) + "@0x0",
	}
	m, err := OpenAll(paths, Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer m.Close()
	if got := m.View(0x1ffe, 12); string(got) != "aacoreaabbbb" { // a is at 2002 to 2005, and counts before b
		t.Errorf("%q", got)
	}
	if got := m.View(0, 4); string(got) != "cccc" {
		t.Errorf("%q", got)
	}
	if m.Format() != "ELF core; raw; raw, gzip" || m.Order() != binary.LittleEndian || m.PointerSize() != 8 || len(m.Registers()) != 1 || !m.Based() || m.Size() != 16 {
		t.Errorf("format %q, order %v, pointer %d, threads %v, %d bytes", m.Format(), m.Order(), m.PointerSize(), m.Registers(), m.Size())
	}
	if n := m.Notes(); len(n) != 1 || !strings.Contains(n[0], "4 bytes of memory are there more than once") {
		t.Errorf("%q", n)
	}
	if m.Rebase(0) == nil {
		t.Error("several files can be moved")
	}

	small := write(t, "small", (&coreFile{loads: []chunk{{addr: 0x2000, data: []byte("core")}}}).encode())
	for _, bad := range [][]string{
		nil,
		{paths[0], write(t, "x", []byte("abc"))}, // where?
		{write(t, "x", []byte("abc")), paths[1]}, // where?
		{paths[0] + "@0x1000"},                   // has addresses
		{paths[0], small},                        // 64 and 32 bits
		{paths[0], filepath.Join(t.TempDir(), "none")}, // not there
		{paths[0], t.TempDir()},
		{paths[0], write(t, "empty", nil) + "@0x10"},
	} {
		if m, err := OpenAll(bad, Options{}); err == nil {
			m.Close()
			t.Errorf("%q go together", bad)
		}
	}
}

func TestOpenAllBase(t *testing.T) {
	path := write(t, "ram", []byte("abc"))
	if _, err := OpenAll([]string{path, path + "@0x20"}, Options{Base: new(heap.Addr(0x10))}); err == nil {
		t.Error("Options.Base applies to one of several files")
	}
	for arg, want := range map[string]heap.Addr{path: 0x10, path + "@0x20": 0x20} {
		m, err := OpenAll([]string{arg}, Options{Base: new(heap.Addr(0x10))})
		if err != nil {
			t.Fatal(err)
		}
		defer m.Close()
		if string(m.View(want, 3)) != "abc" {
			t.Errorf("%s is not at %s", arg, want)
		}
	}
}

func TestRecognise(t *testing.T) {
	text := strings.Repeat("boot: nothing to see here\r\n", 10)
	records := string(intelHex([]Segment{{Bytes: make([]byte, 9000)}}, 16))
	for want, all := range map[Format][]string{
		Raw: {
			"", "abc", text, ":", ":00", "S", "S1", "\x00\x00", "\x1f\x8b",
			"\x00" + records,                   // in memory
			records[:2000] + "\x80" + records,  // in memory
			text + ":0z",                       // no record
			strings.Repeat(text, 20) + records, // too late
			"BZh9, said the bee",
		},
		ELFCore:  {"\x7fELF", "\x7fELF\x01\x01", string((&coreFile{}).encode()), string((&coreFile{order: binary.BigEndian, wide: true}).encode())},
		IntelHex: {records, text + records, "\xef\xbb\xbf" + records, "\r\n\r\n" + records, hexRecord(hexEnd, 0), strings.ToLower(hexRecord(hexData, 0, 0xab))},
		SRecords: {sRecord(0, 0), text + sRecord(1, 0, 1, 2), sRecord(3, 0, 1), sRecord(9, 0)},
		Gzip:     {string(packed(nil))},
		Foreign:  {"\x28\xb5\x2f\xfd...", "\xfd7zXZ\x00", "BZh91AY&SY...", "PK\x03\x04", "KDUMP   ", strings.Replace(string((&coreFile{}).encode()), "\x04\x00", "\x02\x00", 1)},
	} {
		for _, s := range all {
			if got := Recognise([]byte(s)); got != want {
				t.Errorf("%.40q is %s, not %s", s, got, want)
			}
		}
	}
}

func TestForeign(t *testing.T) {
	program := (&coreFile{loads: []chunk{{addr: 1, data: []byte("abc")}}}).encode()
	program[16] = 2 // ET_EXEC
	for want, b := range map[string][]byte{
		"no core (ET_EXEC)": program,
		"unpack it first":   []byte("\x28\xb5\x2f\xfd..."),
		"packed twice":      packed(packed([]byte("x"))),
		"empty":             packed(nil),
	} {
		_, err := Read("x", bytes.NewReader(b), Options{})
		if err == nil || !strings.Contains(err.Error(), want) || !strings.HasPrefix(err.Error(), "x: ") {
			t.Errorf("%q: %v", want, err)
		}
		if m := must(t, b, Options{Raw: true}); m.Format() != "raw" || !bytes.Equal(m.Spans()[0].Bytes, b) {
			t.Errorf("%q cannot be read as raw memory", want)
		}
	}
}

func TestClose(t *testing.T) {
	m, err := Open(write(t, "ram", []byte("abc")), Options{})
	if err != nil {
		t.Fatal(err)
	}
	for range 2 {
		if err := m.Close(); err != nil {
			t.Fatal(err)
		}
		if m.View(0, 1) != nil || len(m.Segments()) != 0 || len(m.Spans()) != 0 || m.Size() != 0 || m.Rebase(0) == nil {
			t.Error("a closed image is not empty")
		}
	}
}

// same reports whether a and b hold the same memory; names do not count.
func same(a, b []Segment) bool {
	return slices.EqualFunc(a, b, func(a, b Segment) bool {
		return a.Addr == b.Addr && bytes.Equal(a.Bytes, b.Bytes) && a.Writable == b.Writable
	})
}
