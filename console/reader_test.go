package console

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"reflect"
	"strings"
	"testing"
	"testing/iotest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/heapwright/heapwright/heap"
)

// read returns everything a log holds.
func read(t *testing.T, log string) (*Reader, []*heap.Snapshot, error) {
	t.Helper()
	return readFrom(t, strings.NewReader(log))
}

func readFrom(t *testing.T, log io.Reader) (*Reader, []*heap.Snapshot, error) {
	t.Helper()
	r := NewReader(log, "x.log")
	var snaps []*heap.Snapshot
	var last error
	for s, err := range r.Snapshots() {
		if last != nil {
			t.Fatalf("something follows the error %v", last)
		}
		if err != nil {
			last = err
			continue
		}
		for i := 1; i < len(s.Nodes); i++ {
			if s.Nodes[i].Addr <= s.Nodes[i-1].Addr {
				t.Fatalf("%s: nodes not ascending at %d", s.Label, i)
			}
		}
		snaps = append(snaps, s)
	}
	return r, snaps, last
}

// render shows a snapshot as text to compare.
func render(s *heap.Snapshot) string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s %s pool=%q partial=%q\n", s.Label, s.Source, s.Pool, s.Partial)
	for _, n := range s.Nodes {
		fmt.Fprintln(&b, n.Addr, n.Stack)
	}
	return b.String()
}

func renderAll(snaps []*heap.Snapshot) string {
	var b strings.Builder
	for _, s := range snaps {
		b.WriteString(render(s))
	}
	return b.String()
}

func testdata(t testing.TB, name string) []byte {
	t.Helper()
	b, err := os.ReadFile("testdata/" + name)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func TestLeakSeries(t *testing.T) {
	r, snaps, err := readFrom(t, bytes.NewReader(testdata(t, "leak-series.log")))
	if err != nil {
		t.Fatal(err)
	}
	var counts []int
	var sources []string
	for i, s := range snaps {
		counts = append(counts, len(s.Nodes))
		sources = append(sources, s.Source)
		if s.Partial != "" || s.Pool != "" || s.Label != fmt.Sprintf("listing %d", i+1) {
			t.Errorf("listing %d: partial %q, pool %q, label %q", i+1, s.Partial, s.Pool, s.Label)
		}
	}
	if d := cmp.Diff([]int{132, 169, 223, 269, 314, 349, 362}, counts); d != "" {
		t.Error("nodes:", d)
	}
	if d := cmp.Diff([]string{"x.log:107", "x.log:247", "x.log:433", "x.log:673", "x.log:959", "x.log:1290", "x.log:1678"}, sources); d != "" {
		t.Error("sources:", d)
	}
	if notes := r.Notes(); len(notes) > 0 {
		t.Error("notes:", notes)
	}
	want := heap.Node{Addr: 0x56bac, Stack: heap.Stack{0x11ea0, 0x21744, 0x113dc}}
	if d := cmp.Diff(want, snaps[0].Nodes[0]); d != "" {
		t.Error("first node:", d)
	}
}

func TestHangInMemused(t *testing.T) {
	_, snaps, err := readFrom(t, bytes.NewReader(testdata(t, "memused_zero_hang.log")))
	if err != nil || len(snaps) != 1 {
		t.Fatal(len(snaps), err)
	}
	want := "cut after 89 nodes: the log ends before the blank line or prompt that ends a listing"
	if snaps[0].Partial != want || len(snaps[0].Nodes) != 89 {
		t.Errorf("%d nodes, partial %q", len(snaps[0].Nodes), snaps[0].Partial)
	}
}

// The cases share these rows.
const (
	header = "node            LR[0]       LR[1]       LR[2]   \r\n"
	row1   = "0x00056bac:  0x00011ea0  0x00021744  0x000113dc \r\n"
	row2   = "0x00058b44:  0x00015e60  0x00011fc8  0x00021744 \r\n"
	row3   = "0x00058c60:  0x0001d1fc  0x00012038  0x00021744 \r\n"
	end    = "\r\nHuawei LiteOS # "

	node1 = "0x56bac [0x11ea0 0x21744 0x113dc]\n"
	node2 = "0x58b44 [0x15e60 0x11fc8 0x21744]\n"
	node3 = "0x58c60 [0x1d1fc 0x12038 0x21744]\n"
	whole = "listing 1 x.log:1 pool=\"\" partial=\"\"\n" + node1 + node2 + node3
)

func TestListings(t *testing.T) {
	partial := func(why, nodes string) string {
		return fmt.Sprintf("listing 1 x.log:1 pool=\"\" partial=%q\n", why) + nodes
	}
	const lost = "the log ends before the blank line or prompt that ends a listing"
	for _, c := range []struct {
		name, log, want string
		notes           []string
	}{
		{name: "ended by prompt", log: header + row1 + row2 + row3 + end, want: whole},
		{name: "ended by blank line", log: header + row1 + row2 + row3 + "\r\n", want: whole},
		{name: "ended by prompt alone", log: header + row1 + row2 + row3 + "Huawei LiteOS # ", want: whole},
		{name: "LF only", log: strings.ReplaceAll(header+row1+row2+row3+end, "\r", ""), want: whole},
		{name: "CR only", log: strings.ReplaceAll(header+row1+row2+row3+end, "\n", ""), want: whole},
		{name: "CR CR LF", log: strings.ReplaceAll(header+row1+row2+row3+end, "\r", "\r\r"), want: whole},
		{name: "old header", log: strings.Replace(header, "node", "pstNode", 1) + row1 + row2 + row3 + end, want: whole},
		{
			name: "no rows", log: header + end,
			want: partial("", ""),
		},
		{
			name: "prefixes and escapes",
			log: "[  12.3] [INFO] \x1b[32m" + header + "[  12.4] [INFO] \x1b[1;32m" + row1 + "11:02:03.004 \x1b[0m" + row2 +
				"Huawei LiteOS # " + row3 + "[  12.4] [INFO] \r\n[  12.5] " + end,
			want: whole,
		},
		{
			name: "64-bit",
			log: "node                        LR[0]              LR[1]       \n" +
				"0xffffffc000056bac:  0x0000000000011ea0  0x0000000000021744 \n" + end,
			want: "listing 1 x.log:1 pool=\"\" partial=\"\"\n0xffffffc000056bac [0x11ea0 0x21744]\n",
		},
		{
			name: "nil and zero levels",
			log: header + "0x00056bac:  0x00011ea0       (nil)       (nil) \n0x00058b44:  0x00011ea0  0x00000000  0x00000000 \n" +
				"0x00058c60:  (nil)  (nil)  (nil) \n" + end,
			want: partial("", "0x56bac [0x11ea0]\n0x58b44 [0x11ea0]\n0x58c60 []\n"),
		},
		{
			name: "other lines between rows, blank ones too",
			log:  header + row1 + "gt: tick 10744 leak1 19/760B\r\n\r\n" + row2 + "wdt: node 0x00058c00: fed\r\n" + row3 + end,
			want: whole,
		},
		{
			name: "other output inside a row",
			log:  header + row1 + "0x00058b44:  0x00015e60 gt: tick 10744\r\n 0x00011fc8  0x00021744 \r\n" + row3 + end,
			want: whole,
		},
		{
			name: "other output behind the address",
			log:  header + row1 + "0x00058b44: gt: tick\r\n 0x00015e60  0x00011fc8 gt: tick\r\n" + row3 + end,
			want: partial("1 row unreadable", node1+node3),
		},
		{
			name: "other output in front of a row",
			log:  header + row1 + "gt: tick 10744 " + row2 + row3 + end,
			want: whole,
		},
		{
			name: "lost line end",
			log:  header + strings.TrimRight(row1, "\r\n") + row2 + row3 + end,
			want: whole,
		},
		{
			name: "lost digits",
			log:  header + row1 + "0x00058b4:  0x00015e60  0x00011fc8  0x00021744 \r\n" + row3 + end,
			want: partial("1 row unreadable", node1+node3),
		},
		{
			name: "missing levels",
			log:  header + row1 + "0x00058b44:  0x00015e60  0x0001 \r\n" + row3 + end,
			want: partial("1 row unreadable", node1+node3),
		},
		{name: "cut between rows", log: header + row1 + row2, want: partial("cut after 2 nodes: "+lost, node1+node2)},
		{name: "cut in a number", log: header + row1 + row2[:len(row2)-8], want: partial("cut after 1 node: "+lost, node1)},
		{name: "cut in an address", log: header + row1 + row2[:6], want: partial("cut after 1 node: "+lost, node1)},
		{name: "cut behind the header", log: header, want: partial("cut after 0 nodes: "+lost, "")},
		{
			name: "cut by the prompt",
			log:  header + row1 + row2[:20] + "Huawei LiteOS # ",
			want: partial("cut after 1 node: the prompt came in the middle of a row", node1),
		},
		{
			name: "cut by a restart",
			log:  header + row1 + row2 + "\r\n********Hello Huawei LiteOS********\r\n",
			want: partial("cut after 2 nodes: the device restarted", node1+node2),
		},
		{
			name: "cut by the next listing",
			log:  header + row1 + row2 + header + row3 + end,
			want: partial("cut after 2 nodes: another listing begins before the blank line or prompt that ends one", node1+node2) +
				"listing 2 x.log:4 pool=\"\" partial=\"\"\n" + node3,
		},
		{
			name: "out of order and twice",
			log:  header + row2 + row1 + row3 + row3 + end,
			want: partial("2 rows out of order (1 node listed twice): text was lost or two listings ran into each other", node1+node2+node3),
		},
		{
			name: "second pool",
			log:  header + row1 + "\r\n exc interaction memory\r\n" + header + row2 + end + "memused\r\n" + header + row3 + end,
			want: partial("", node1) +
				"listing 1 x.log:5 pool=\"exc interaction memory\" partial=\"\"\n" + node2 +
				"listing 2 x.log:9 pool=\"\" partial=\"\"\n" + node3,
		},
		{
			name: "restart between listings",
			log:  header + row1 + end + "\r\n********Hello Huawei LiteOS********\r\n" + header + row2 + end,
			want: partial("", node1) + "listing 2 x.log:6 pool=\"\" partial=\"\"\n" + node2,
			notes: []string{
				"x.log: the device restarted before listing 2 (line 5): counts before and after a restart cannot be compared",
			},
		},
		{
			name:  "rows without a header",
			log:   header + row1 + end + "\r\n" + row2 + row3,
			want:  partial("", node1),
			notes: []string{"x.log:5: 2 rows outside every listing ignored: the start of a listing is missing"},
		},
		{
			name:  "long line",
			log:   header + row1 + strings.Repeat("y", 3*bufferSize) + "\r\n" + row2 + row3 + end,
			want:  whole,
			notes: []string{"x.log: 1 line longer than 4096 bytes; only the beginning was looked at"},
		},
	} {
		t.Run(c.name, func(t *testing.T) {
			r, snaps, err := read(t, c.log)
			if err != nil {
				t.Fatal(err)
			}
			if d := cmp.Diff(c.want, renderAll(snaps)); d != "" {
				t.Error(d)
			}
			if d := cmp.Diff(c.notes, r.Notes()); d != "" {
				t.Error("notes:", d)
			}
			// However the text arrives, it must be understood in the same way.
			_, slow, err := readFrom(t, iotest.OneByteReader(strings.NewReader(c.log)))
			if err != nil {
				t.Fatal(err)
			}
			if d := cmp.Diff(renderAll(snaps), renderAll(slow)); d != "" {
				t.Error("byte by byte:", d)
			}
		})
	}
}

func TestNotAListing(t *testing.T) {
	for _, c := range []struct{ name, log, want string }{
		{"empty", "", "x.log: no heap listing: the log is empty"},
		{"text", "hello\nworld\n", "x.log: no heap listing in 2 lines; it would begin with one of\n  node  LR[0]  LR[1]  LR[2]        OpenHarmony LiteOS-A memused, LiteOS memused\n"},
		{"other header", "node          color        LR[0]\n0x20001b04:  0x24   0x08001a10\n", "x.log: no heap listing in 2 lines; it would begin with one of"},
		{"checker", " LR[0]:0x41414141\n", "no heap listing in 1 line"},
		{"headless", row1 + row2, "in 2 lines, but 2 rows without a header"},
		{"ELF", "\x7fELF\x01\x01\n" + header + row1, "this is an ELF file"},
		{"gzip", "\x1f\x8b\x08\x00", "this is a gzip file"},
		{"UTF-16", "\xff\xfen\x00o\x00d\x00e\x00\n\x00", "this is UTF-16 text"},
		{"binary", strings.Repeat("\x00\x01\x02a", 99), "this is a binary file"},
	} {
		t.Run(c.name, func(t *testing.T) {
			_, snaps, err := read(t, c.log)
			var none *NoListingError
			if !errors.As(err, &none) || len(snaps) > 0 {
				t.Fatalf("%d snapshots, error %v", len(snaps), err)
			}
			if !strings.Contains(err.Error(), c.want) {
				t.Errorf("got  %s\nwant %s", err, c.want)
			}
		})
	}
}

func TestReadError(t *testing.T) {
	broken := errors.New("unplugged")
	_, snaps, err := readFrom(t, io.MultiReader(strings.NewReader(header+row1+row2), iotest.ErrReader(broken)))
	if !errors.Is(err, broken) {
		t.Errorf("error %v", err)
	}
	if len(snaps) != 1 || snaps[0].Partial != "cut after 2 nodes: the log could not be read further" {
		t.Errorf("snapshots %s", renderAll(snaps))
	}
	if _, _, err := readFrom(t, stuck{}); !errors.Is(err, io.ErrNoProgress) {
		t.Errorf("a reader that never reads: %v", err)
	}
}

type stuck struct{}

func (stuck) Read([]byte) (int, error) { return 0, nil }

// On a live console the listing must come out when the prompt appears, which
// is not followed by a line end.
func TestLiveConsole(t *testing.T) {
	in, out := io.Pipe()
	defer in.Close()
	got := make(chan *heap.Snapshot, 1)
	go func() {
		for s := range NewReader(in, "tty").Snapshots() {
			got <- s
			return
		}
	}()
	go io.WriteString(out, header+row1+end)
	select {
	case s := <-got:
		if s.Partial != "" || len(s.Nodes) != 1 {
			t.Error(render(s))
		}
	case <-time.After(10 * time.Second):
		t.Fatal("the listing is held back although the prompt is there")
	}
}

func TestBreakAndContinue(t *testing.T) {
	r := NewReader(bytes.NewReader(testdata(t, "leak-series.log")), "x.log")
	var labels []string
	for range 9 {
		for s, err := range r.Snapshots() {
			if err != nil {
				t.Fatal(err)
			}
			labels = append(labels, s.Label)
			break
		}
	}
	if len(labels) != 7 || labels[0] != "listing 1" || labels[6] != "listing 7" {
		t.Error(labels)
	}
}

// Cutting a real log anywhere must yield what was before, and say that the
// last listing is not whole.
func TestCutAnywhere(t *testing.T) {
	log := testdata(t, "leak-series.log")
	_, all, err := readFrom(t, bytes.NewReader(log))
	if err != nil {
		t.Fatal(err)
	}
	first := bytes.Index(log, []byte("node            LR[0]"))
	step := 211
	if testing.Short() {
		step = 997
	}
	for n := first + 100; n < len(log); n += step {
		_, snaps, err := readFrom(t, bytes.NewReader(log[:n]))
		if err != nil {
			t.Fatalf("cut at %d: %v", n, err)
		}
		last := len(snaps) - 1
		for i, s := range snaps {
			whole := len(s.Nodes) == len(all[i].Nodes)
			if i < last && (!whole || s.Partial != "") {
				t.Fatalf("cut at %d: listing %d of %d: %d nodes, partial %q", n, i+1, len(snaps), len(s.Nodes), s.Partial)
			}
			if !whole && s.Partial == "" {
				t.Fatalf("cut at %d: listing %d lost %d nodes silently", n, i+1, len(all[i].Nodes)-len(s.Nodes))
			}
			for j, node := range s.Nodes {
				if want := all[i].Nodes[j]; !reflect.DeepEqual(want, node) { // half a million times: cmp is slow
					t.Fatalf("cut at %d: listing %d, node %d: %s", n, i+1, j, cmp.Diff(want, node))
				}
			}
		}
	}
}

func TestMemoryOfALongLog(t *testing.T) {
	if testing.Short() {
		t.Skip("reads 40 MB")
	}
	log := testdata(t, "leak-series.log")
	size := 0
	repeated := readerFunc(func(p []byte) (int, error) {
		if size > 40<<20 {
			return 0, io.EOF
		}
		n := copy(p, log[size%len(log):])
		size += n
		return n, nil
	})
	most := 0
	r := NewReader(repeated, "long.log")
	for s, err := range r.Snapshots() {
		if err != nil {
			t.Fatal(err)
		}
		most = max(most, cap(s.Nodes))
	}
	if most > 2000 {
		t.Errorf("a snapshot of at most 362 nodes holds room for %d", most)
	}
	if n := len(r.ready) + cap(r.lines.buf); n > bufferSize {
		t.Errorf("the reader retains %d things", n)
	}
}

type readerFunc func([]byte) (int, error)

func (f readerFunc) Read(p []byte) (int, error) { return f(p) }

func BenchmarkMemused(b *testing.B) {
	var log bytes.Buffer
	for range 50 {
		log.WriteString(header)
		for i := range 2000 {
			fmt.Fprintf(&log, "0x%08x:  0x%08x  0x%08x  0x%08x \r\n", 0x56bac+i*64, 0x11000+i%40*52, 0x21744+i%20*4, 0x113dc)
		}
		log.WriteString(end)
	}
	benchmark(b, log.Bytes())
}

func BenchmarkWholeLog(b *testing.B) { benchmark(b, bytes.Repeat(testdata(b, "leak-series.log"), 50)) }

// What has nothing to do with heaps: boot messages, tables, reports of tasks.
func BenchmarkOtherText(b *testing.B) {
	log := testdata(b, "leak-series.log")
	log = log[:bytes.Index(log, []byte("node            LR[0]"))]
	benchmark(b, append(bytes.Repeat(log, 1000), header+row1+end...))
}

func benchmark(b *testing.B, log []byte) {
	b.SetBytes(int64(len(log)))
	b.ReportAllocs()
	for b.Loop() {
		for s, err := range NewReader(bytes.NewReader(log), "x.log").Snapshots() {
			if err != nil || s.Partial != "" {
				b.Fatal(s, err)
			}
		}
	}
}
