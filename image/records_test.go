package image

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/heapwright/heapwright/heap"
)

// memory is what an image is expected to hold.
type memory map[heap.Addr]string

func (m memory) check(t *testing.T, name string, got *Image) {
	t.Helper()
	have := make(memory)
	for _, s := range got.Spans() {
		have[s.Addr] = string(s.Bytes)
	}
	if d := cmp.Diff(m, have); d != "" {
		t.Errorf("%s: %s", name, d)
	}
}

func TestIntelHex(t *testing.T) {
	const end = ":00000001FF\n"
	upper := func(v byte) string { return hexRecord(hexUpper, 0, v, 0) }
	data := func(addr uint16, s string) string { return hexRecord(hexData, addr, []byte(s)...) }
	bad := func(record string) string { return record[:len(record)-3] + "00\n" } // no sum of these is 0
	for name, c := range map[string]struct {
		text    string
		want    memory
		partial string
		note    string
	}{
		"the specification's": {
			text: ":10010000214601360121470136007EFE09D2190140\n" + end,
			want: memory{0x100: "\x21\x46\x01\x36\x01\x21\x47\x01\x36\x00\x7e\xfe\x09\xd2\x19\x01"},
		},
		"lower case, CRLF, blanks": {
			text: strings.ReplaceAll(strings.ToLower("  "+data(0x100, "\xab\xcd")+"\n\n"+end), "\n", "\t\r\n") + "\x1a",
			want: memory{0x100: "\xab\xcd"},
		},
		"CR only":         {text: strings.ReplaceAll(data(1, "a")+data(2, "b")+end, "\n", "\r"), want: memory{1: "ab"}},
		"no last newline": {text: data(1, "a") + strings.TrimSpace(end), want: memory{1: "a"}},
		"upper address":   {text: data(0xffff, "a") + upper(0x80) + data(0, "b") + end, want: memory{0xffff: "a", 0x80000000: "b"}},
		"across 64 KiB":   {text: upper(0x80) + data(0xfffe, "abcd") + end, want: memory{0x8000fffe: "abcd"}},
		"across 4 GiB":    {text: hexRecord(hexUpper, 0, 0xff, 0xff) + data(0xfffe, "abcd") + end, want: memory{0xfffffffe: "ab", 0: "cd"}},
		"segment":         {text: hexRecord(hexSegment, 0, 0x12, 0x34) + data(5, "a") + end, want: memory{0x12345: "a"}},
		"across a segment": {
			text: hexRecord(hexSegment, 0, 0x12, 0x34) + data(0xfffe, "abcd") + end,
			want: memory{0x12340: "cd", 0x2233e: "ab"},
		},
		"where execution starts": {text: hexRecord(hexStartSegmented, 0, 1, 2, 3, 4) + hexRecord(hexStart, 0, 1, 2, 3, 4) + data(1, "a") + end, want: memory{1: "a"}},
		"out of order":           {text: data(4, "ef") + data(2, "cd") + data(0, "ab") + end, want: memory{0: "abcdef"}},
		"no data":                {text: data(9, "") + data(1, "a") + end, want: memory{1: "a"}},
		"twice":                  {text: data(1, "abc") + data(2, "xyz") + end, want: memory{1: "abcz"}, note: "2 bytes of memory are there more than once"},
		"files behind each other": {
			text: upper(0x80) + data(1, "a") + end + data(1, "b") + end, want: memory{0x80000001: "a", 1: "b"}, note: "1 record behind an end record taken too, the first on line 4",
		},
		"text behind":    {text: strings.TrimSpace(data(1, "a")) + " [12.3] hello\n" + end, want: memory{1: "a"}},
		"no end":         {text: data(1, "a"), want: memory{1: "a"}, partial: "there is no end record: the file may be cut"},
		"wrong checksum": {text: data(1, "a") + bad(data(2, "bbb")) + data(5, "c") + end, want: memory{1: "a", 5: "c"}, partial: "1 record with wrong checksums left out, the first on line 2"},
		"cut lines":      {text: data(1, "a") + data(2, "b")[:10] + "\n" + data(3, "c")[:9] + "\n" + end, want: memory{1: "a"}, partial: "2 lines left out that hold no whole record, the first being line 2"},
		"console":        {text: "dump:\n" + data(1, "a") + "[12.3] hello\n" + end, want: memory{1: "a"}, partial: "2 lines left out that hold no whole record, the first being line 1"},
		"not digits":     {text: data(1, "a") + ":01000200.." + "\n" + end, want: memory{1: "a"}, partial: "1 line left out"},
		"unknown type":   {text: hexRecord(9, 0) + hexRecord(hexEnd, 0, 1) + hexRecord(hexUpper, 0, 1) + data(1, "a") + end, want: memory{1: "a"}, partial: "3 records of unknown types left out"},
		"upper address lost": {
			text: data(1, "a") + bad(upper(0x80)) + data(2, "b") + data(3, "c") + upper(0x90) + data(4, "d") + end,
			want: memory{1: "a", 0x90000004: "d"}, partial: "2 records left out because the upper half of their addresses is lost, the first on line 3",
		},
		"upper address cut":      {text: data(1, "a") + upper(0x80)[:10] + "\n" + data(2, "b") + end, want: memory{1: "a"}, partial: "upper half"},
		"upper address in a log": {text: data(1, "a") + "[1.0] " + upper(0x80) + data(2, "b") + end, want: memory{1: "a"}, partial: "upper half"},
		"segment lost":           {text: data(1, "a") + "x" + hexRecord(hexSegment, 0, 1, 0) + data(2, "b") + end, want: memory{1: "a"}, partial: "upper half"},
	} {
		m, err := Read(name, strings.NewReader(c.text), Options{})
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		c.want.check(t, name, m)
		if (c.partial == "") != (m.Partial() == "") || !strings.Contains(m.Partial(), c.partial) {
			t.Errorf("%s: partial %q", name, m.Partial())
		}
		if n := strings.Join(m.Notes(), "; "); (c.note == "") != (n == "") || !strings.Contains(n, c.note) {
			t.Errorf("%s: notes %q", name, n)
		}
		if m.Format() != "Intel HEX" {
			t.Errorf("%s: %s", name, m.Format())
		}
	}
}

func TestSRecords(t *testing.T) {
	end := sRecord(9, 0)
	data := func(addr uint64, s string) string { return sRecord(3, addr, []byte(s)...) }
	bad := func(record string) string { return record[:len(record)-3] + "00\n" }
	for name, c := range map[string]struct {
		text    string
		want    memory
		partial string
		note    string
	}{
		"known from books": {
			text: "S00F000068656C6C6F202020202000003C\nS11F00007C0802A6900100049421FFF07C6C1B787C8C23783C6000003863000026\nS5030001FB\nS9030000FC\n",
			want: memory{0: "\x7c\x08\x02\xa6\x90\x01\x00\x04\x94\x21\xff\xf0\x7c\x6c\x1b\x78\x7c\x8c\x23\x78\x3c\x60\x00\x00\x38\x63\x00\x00"},
		},
		"all lengths":     {text: sRecord(1, 0x1234, 'a') + sRecord(2, 0x123456, 'b') + sRecord(3, 0x12345678, 'c') + sRecord(6, 3) + sRecord(8, 0), want: memory{0x1234: "a", 0x123456: "b", 0x12345678: "c"}},
		"lower case":      {text: "s10500000102f7\nS105" + strings.ToLower("0002ABCD80\n") + end, want: memory{2: "\xab\xcd"}, partial: "1 line left out"},
		"address wraps":   {text: data(0xffffffff, "ab") + end, want: memory{0xffffffff: "ab"}},
		"consecutive":     {text: data(0x10, "ab") + data(0x12, "cd") + end, want: memory{0x10: "abcd"}},
		"out of order":    {text: data(4, "ef") + data(2, "cd") + data(0, "ab") + end, want: memory{0: "abcdef"}},
		"no data":         {text: data(9, "") + data(1, "a") + end, want: memory{1: "a"}},
		"twice":           {text: data(1, "abc") + data(2, "xyz") + end, want: memory{1: "abcz"}, note: "2 bytes of memory are there more than once"},
		"files":           {text: data(1, "a") + sRecord(5, 1) + end + data(5, "b") + sRecord(5, 1) + end, want: memory{1: "a", 5: "b"}, note: "1 record behind an end record"},
		"no end":          {text: data(1, "a"), want: memory{1: "a"}, partial: "there is no end record"},
		"wrong checksum":  {text: data(1, "a") + bad(data(2, "bbb")) + data(5, "c") + sRecord(5, 3) + end, want: memory{1: "a", 5: "c"}, partial: "1 record with wrong checksums left out, the first on line 2; by its own count there should be 3 data records and not 2"},
		"a line is lost":  {text: data(1, "a") + sRecord(5, 2) + end, want: memory{1: "a"}, partial: "there should be 2 data records and not 1"},
		"cut lines":       {text: data(1, "a") + data(2, "b")[:8] + "\nS\nS1\nS3\n" + end, want: memory{1: "a"}, partial: "4 lines left out that hold no whole record, the first being line 2"},
		"not digits":      {text: data(1, "a") + "S1040000..FF\n" + end, want: memory{1: "a"}, partial: "1 line left out"},
		"unknown type":    {text: "S40500000102F7\n" + data(1, "a") + "S101FE\nS10200FD\n" + end, want: memory{1: "a"}, partial: "3 records of unknown types left out, the first on line 1"},
		"text behind":     {text: strings.TrimSpace(data(1, "a")) + " hello\n" + end, want: memory{1: "a"}},
		"console":         {text: "dump:\n" + data(1, "a") + end, want: memory{1: "a"}, partial: "1 line left out"},
		"no last newline": {text: data(1, "a") + strings.TrimSpace(end), want: memory{1: "a"}},
	} {
		m, err := Read(name, strings.NewReader(c.text), Options{})
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		c.want.check(t, name, m)
		if (c.partial == "") != (m.Partial() == "") || !strings.Contains(m.Partial(), c.partial) {
			t.Errorf("%s: partial %q", name, m.Partial())
		}
		if n := strings.Join(m.Notes(), "; "); (c.note == "") != (n == "") || !strings.Contains(n, c.note) {
			t.Errorf("%s: notes %q", name, n)
		}
		if m.Format() != "S-records" {
			t.Errorf("%s: %s", name, m.Format())
		}
	}
}

// More data records than the count of 16 bits can hold.
func TestSRecordsCount(t *testing.T) {
	var b strings.Builder
	for i := range 1<<16 + 7 {
		b.WriteString(sRecord(3, uint64(i), 'x'))
	}
	if m := must(t, []byte(b.String()+sRecord(5, 7)+sRecord(7, 0)), Options{}); m.Partial() != "" || m.Size() != 1<<16+7 {
		t.Errorf("%q", m.Partial())
	}
}

// Text without memory is an error that says why.
func TestNoRecords(t *testing.T) {
	for want, text := range map[string]string{
		"no memory":       ":00000001FF\n",
		"no memory in it": "S9030000FC\n",
		"1 record with":   ":0100000061FF\n:00000001FF\n",
	} {
		if _, err := Read("x", strings.NewReader(text), Options{}); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v", text, err)
		}
	}
}

// A million records with gaps between them; and no more memory than allowed.
func TestTinySegments(t *testing.T) {
	var hex, srec []byte
	for i := range 1_000_000 {
		if i%(1<<15) == 0 {
			hex = append(hex, hexRecord(hexUpper, 0, 0, byte(i>>15))...)
		}
		hex = append(hex, hexRecord(hexData, uint16(2*i), 'x')...)
		if i < 100_000 {
			srec = append(srec, sRecord(2, uint64(2*i), 'x')...)
		}
	}
	for _, c := range []struct {
		file  []byte
		count int
	}{
		{append(hex, hexRecord(hexEnd, 0)...), 1_000_000},
		{append(srec, sRecord(8, 0)...), 100_000},
	} {
		m := must(t, c.file, Options{})
		if len(m.Segments()) != c.count || m.Size() != uint64(c.count) || m.Partial() != "" ||
			string(m.View(heap.Addr(2*(c.count-1)), 1)) != "x" || m.View(1, 1) != nil {
			t.Errorf("%s: %d segments, %q", m.Format(), len(m.Segments()), m.Partial())
		}
		if _, err := Read("x", bytes.NewReader(c.file), Options{MaxBytes: uint64(len(c.file))}); !errors.Is(err, ErrTooLarge) {
			t.Errorf("%s: %v", m.Format(), err)
		}
	}
}

// tool returns the path of a program that a test needs. Without it the test is
// skipped, or fails where all tools must be there.
func tool(t testing.TB, name, debianPackage string) string {
	t.Helper()
	p, err := exec.LookPath(name)
	if err == nil {
		return p
	}
	message := fmt.Sprintf("%s is not installed: it is in the Debian package %s", name, debianPackage)
	if os.Getenv("TEST_REQUIRE_BINUTILS") == "1" {
		t.Fatal(message)
	}
	t.Skip(message)
	return ""
}

// run runs a program in dir.
func run(t testing.TB, dir, program string, args ...string) {
	t.Helper()
	c := exec.Command(program, args...)
	c.Dir = dir
	if out, err := c.CombinedOutput(); err != nil {
		t.Fatalf("%s %s: %v\n%s", program, args, err, out)
	}
}

// What objcopy writes of a program is what it writes as a raw file.
func TestObjcopy(t *testing.T) {
	gcc, objcopy := tool(t, "arm-none-eabi-gcc", "gcc-arm-none-eabi"), tool(t, "arm-none-eabi-objcopy", "binutils-arm-none-eabi")
	dir := t.TempDir()
	source := `
__attribute__((section(".text.entry"))) int entry(int n) { return n * 3; }
const char text[70000] = "a constant that needs more than 64 KiB";
int data[5000] = {1, 2, 3, 4, 0x12345678};
`
	if err := os.WriteFile(filepath.Join(dir, "a.c"), []byte(source), 0o600); err != nil {
		t.Fatal(err)
	}
	run(t, dir, gcc, "-mcpu=cortex-m4", "-nostdlib", "-Wl,-Ttext=0x0800fff0,-Tdata=0x20000ffc,-e,entry", "-o", "a.elf", "a.c")
	section := func(name string) []byte {
		t.Helper()
		run(t, dir, objcopy, "-O", "binary", "-j", name, "a.elf", "raw")
		b, err := os.ReadFile(filepath.Join(dir, "raw"))
		if err != nil {
			t.Fatal(err)
		}
		return b
	}
	text, rodata, data := section(".text"), section(".rodata"), section(".data")
	for _, format := range [][]string{
		{"ihex"},
		{"srec"},
		{"srec", "--srec-forceS3"},
		{"srec", "--srec-len=100"},
	} {
		name := strings.Join(format, " ")
		run(t, dir, objcopy, append([]string{"-O"}, append(slices.Clone(format), "a.elf", "out")...)...)
		m := mustOpen(t, filepath.Join(dir, "out"), Options{})
		if m.Partial() != "" || len(m.Notes()) > 0 {
			t.Errorf("%s: %q, %q", name, m.Partial(), m.Notes())
		}
		if got := m.View(0x0800fff0, uint64(len(text))); !bytes.Equal(got, text) {
			t.Errorf("%s: other code", name)
		}
		if got := m.View(0x20000ffc, uint64(len(data))); !bytes.Equal(got, data) {
			t.Errorf("%s: other data", name)
		}
		found := false
		for _, s := range m.Spans() {
			found = found || bytes.Contains(s.Bytes, rodata)
		}
		if !found {
			t.Errorf("%s: other constants", name)
		}
		if n := m.Size(); n < uint64(len(text)+len(rodata)+len(data)) || n > uint64(len(text)+len(rodata)+len(data)+64) {
			t.Errorf("%s: %d bytes", name, n)
		}
	}
}
