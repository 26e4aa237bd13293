package console

import (
	"bytes"
	"io"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// allOf reads a log to its end.
func allOf(t *testing.T, log io.Reader) *Reader {
	t.Helper()
	r := NewReader(log, "x.log")
	r.Names = new(Names)
	for _, err := range r.Items() {
		if err != nil {
			t.Fatal(err)
		}
	}
	return r
}

// A log tells which system it is from.
func TestSystems(t *testing.T) {
	for name, want := range map[string][]string{
		"badnode_clean.log":         {SystemLiteOS},
		"leak-series.log":           {SystemLiteOS},
		"devices/liteosa.log":       {SystemOpenHarmony},
		"devices/liteosm.log":       {SystemOpenHarmony},
		"devices/nuttx.log":         {SystemNuttX},
		"devices/espidf.log":        {SystemESPIDF},
		"devices/rtthread.log":      {SystemRTThread},
		"devices/zephyr.log":        {SystemZephyr},
		"devices/liteos-record.log": {SystemLiteOS},
	} {
		got := allOf(t, bytes.NewReader(testdata(t, filepath.FromSlash(name)))).Systems()
		if d := cmp.Diff(want, got); d != "" {
			t.Errorf("%s: %s", name, d)
		}
	}
	for log, want := range map[string][]string{
		"":        nil,
		"hello\n": nil,
		"Huawei LiteOS # memcheck\r\n\r\nHuawei LiteOS # ": {SystemLiteOS},
		header + row1 + end: {SystemLiteOS},
		"kasan_report: kasan detected a read access error, address at 0x81f81580, size is 8\n": {SystemNuttX},
		"nsh> \nuart:~$ \n": {SystemNuttX, SystemZephyr},
		"[10:00:00] msh />memtrace\n--memory item information --\n[0x20000000 -   16] NONE\n\n": {SystemRTThread},
	} {
		if d := cmp.Diff(want, allOf(t, strings.NewReader(log)).Systems()); d != "" {
			t.Errorf("%q: %s", log, d)
		}
	}
}

// What says something about the heap and becomes no finding is named.
func TestDamageNotes(t *testing.T) {
	list := string(testdata(t, "badnode_clean.log"))
	begin, finish := strings.Index(list, "node:"), strings.Index(list, "check finish")
	rows := strings.SplitAfter(list[begin:finish], "\n")
	rows = rows[:len(rows)-1]
	without := func(i int) string {
		return strings.Join(slices.Delete(slices.Clone(rows), i, i+1), "") + "check finish\r\n"
	}
	const lacks = "x.log:1: the device walked its nodes (LOS_MemBadNodeShow), but the log lacks part of the list: "
	const dump = " 0xb7c8c :00000000 00000000 00000000 00000000 \r\n"
	for _, c := range []struct {
		name, log string
		want      []string // beginnings
	}{
		{"nothing", "hello\n", nil},
		{"a whole list", list[begin:], []string{"x.log:1: the device walked 108 nodes (LOS_MemBadNodeShow) and found every checksum right: no header was damaged then"}},
		{"its first row is missing", without(0), []string{lacks + "107 nodes"}},
		{"one in the middle", without(50), []string{lacks + "107 nodes"}},
		{"its last", without(107), []string{lacks + "107 nodes"}},
		{"its end", strings.Join(rows, ""), []string{lacks + "108 nodes"}},
		{"a digit is lost", strings.Replace(list[begin:], "preNode=0x864a8", "preNode=0x86a8", 1), []string{lacks}},
		{"the log is cut", list[begin : begin+9000], []string{lacks}},
		{"many lists", strings.Repeat("hello\n"+list[begin:], 7), append(slices.Repeat([]string{"x.log:"}, 5), "x.log: 2 further lists")},
		{"dumps", "hello\n" + dump + dump, []string{"x.log:2: memory is shown in hexadecimal, in 2 lines in all; it was not examined"}},
		{"a dump with a time stamp", "[10:00:00] 20001000: 00 01 02 03 04\n", []string{"x.log:1: memory is shown in hexadecimal, in 1 line in all"}},
		{"no dump", header + row1 + end + row2 + "00:11:22:33:44:55\ncafe: 12 34 56\nbeef: 11 22 33 4444\n", nil},
		{"kasan", "ok\nkasan_report: kasan detected a write access error, address at 0x40213667,size is 1, return address: 0x62f82c\n", []string{"x.log:2: NuttX's address sanitizer reports a wrong access: such reports are not read"}},
		{"assertions", "ASSERTION FAIL [0] @ heap.c:178\n\tcorrupted heap bounds (buffer overflow?) for memory at 0x20001a30\n\tunexpected heap state (double-free?) for memory at 0x20001a30\nassert failed: block_trim_free heap_tlsf.c:371 (x)\n" +
			"assert failed: block_trim_free heap_tlsf.c:371 (x)\n", []string{"x.log:2: Zephyr reports a damaged heap:", "x.log:3: Zephyr reports a free", "x.log:4: ESP-IDF's allocator stopped at a contradiction (and 1 more):"}},
	} {
		got := allOf(t, strings.NewReader(c.log)).DamageNotes()
		if len(got) != len(c.want) {
			t.Errorf("%s: %q", c.name, got)
			continue
		}
		for i := range got {
			if !strings.HasPrefix(got[i], c.want[i]) {
				t.Errorf("%s: %q, want %q", c.name, got[i], c.want[i])
			}
		}
	}
	// What a report shows belongs to it.
	for _, name := range []string{"leakic_ovf28_memcheck.log", "ic_ovf_hdr41_memcheck.log"} {
		log := testdata(t, name)
		i := bytes.Index(log, []byte("memory check error"))
		if got := allOf(t, bytes.NewReader(log[bytes.LastIndexByte(log[:i], '\n')+1:])).DamageNotes(); got != nil {
			t.Errorf("%s: %q", name, got)
		}
	}
}
