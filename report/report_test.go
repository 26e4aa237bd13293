package report

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/heapwright/heapwright/console"
	"github.com/heapwright/heapwright/heap"
	"github.com/heapwright/heapwright/leak"
	"github.com/heapwright/heapwright/symbol"
)

// names is a symbolizer for tests, which knows lines too.
type names map[heap.Addr]heap.Frame

func (n names) Frames(lr heap.Addr) []heap.Frame {
	f := n[lr]
	f.Addr = lr
	return []heap.Frame{f}
}

var sym = names{
	1: {Function: "read_sample", File: "app.c", Line: 48},
	2: {Function: "process", File: "app.c", Line: 59},
	3: {Function: "evil\x1b[31m\nname"},
	4: {Function: "log_dup", File: "log.c", Line: 7},
}

// listing makes a snapshot of n nodes with stack lrs.
func listing(number int, pool, partial string, n int, size uint64, lrs ...heap.Addr) *heap.Snapshot {
	s := &heap.Snapshot{Label: fmt.Sprintf("listing %d", number), Source: fmt.Sprintf("x.log:%d", 100*number), Pool: pool, Partial: partial}
	for i := range n {
		s.Nodes = append(s.Nodes, heap.Node{Addr: heap.Addr(0x1000 + 64*i), Total: size, Stack: lrs})
	}
	return s
}

func series(listings ...leak.Listing) *leak.Growth {
	s := leak.NewSeries(sym, leak.Options{})
	for _, l := range listings {
		s.Add(l)
	}
	return s.Growth()
}

func write(t *testing.T, f func(io.Writer) error) string {
	t.Helper()
	var b strings.Builder
	if err := f(&b); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

// What a live pool knows beyond a log: sizes and owners.
func TestNodesWithSizesAndOwners(t *testing.T) {
	s := &heap.Snapshot{
		Label: "mark", Source: "pool cache", Owners: map[heap.Owner]string{3: "net"},
		Nodes: []heap.Node{
			{Addr: 0xc000001000, Size: 40, Total: 80, Owner: 3, Stack: heap.Stack{1, 2}},
			{Addr: 0xc000001050, Size: 7, Total: 48, Stack: heap.Stack{}},
			{Addr: 0xc000001080, Size: 7, Total: 48, State: heap.Free},
		},
	}
	want := `mark (pool cache): 2 nodes
node                 size  total  LR[0]               LR[1]               owner  call chain
0x000000c000001000:    40     80  0x0000000000000001  0x0000000000000002  net    read_sample (app.c:48) <- process (app.c:59)
0x000000c000001050:     7     48  0x0000000000000000  0x0000000000000000

`
	got := write(t, func(w io.Writer) error {
		n := NewNodesText(w, sym, Options{})
		return errors.Join(n.Listing(leak.Listing{s}), n.Close(nil))
	})
	if d := cmp.Diff(want, got); d != "" {
		t.Error(d)
	}
	groups := write(t, func(w io.Writer) error { return GroupsText(w, leak.Group(leak.Listing{s}, sym), nil, Options{Top: -1}) })
	if !strings.Contains(groups, "    1  50.0     80  read_sample") || !strings.Contains(groups, "[no stack: 32 to 63 bytes]") {
		t.Error(groups)
	}
}

// Three levels of a 32-bit device fit on a screen of 80 columns, without blanks
// at the end of the line.
func TestNodesFitTheScreen(t *testing.T) {
	s := &heap.Snapshot{Label: "l", Source: "a.bin", Nodes: []heap.Node{
		{Addr: 0x57bac, Size: 16 << 20, Total: 16<<20 + 72, Owner: 64, Stack: heap.Stack{0x11ea0, 0x22b10, 0x113dc}},
		{Addr: 0x1057bac, Size: 40, Total: 112, Stack: heap.Stack{0x11ea0, 0x22b10, 0x113dc}},
	}}
	for _, sym := range []heap.Symbolizer{nil, sym} {
		text := write(t, func(w io.Writer) error { return NewNodesText(w, sym, Options{Width: 80}).Listing(leak.Listing{s}) })
		for line := range strings.Lines(text) {
			if line = strings.TrimSuffix(line, "\n"); len(line) >= 80 || strings.HasSuffix(line, " ") {
				t.Errorf("%d columns: %q", len(line), line)
			}
		}
	}
}

// What is not known is not 0, and owner 0 is known if it has a name.
func TestNodesWithoutSizes(t *testing.T) {
	s := &heap.Snapshot{
		Label: "l", Source: "a.log:1", Owners: map[heap.Owner]string{0: "idle", 3: "net"},
		Nodes: []heap.Node{{Addr: 0x1000, Size: 40, Stack: heap.Stack{}}, {Addr: 0x2000, Total: 48, Owner: 3, Stack: heap.Stack{}}},
	}
	text := write(t, func(w io.Writer) error {
		n := NewNodesText(w, nil, Options{})
		return errors.Join(n.Listing(leak.Listing{s}), n.Close(nil))
	})
	if !strings.Contains(text, "0x00001000:    40      ?") || !strings.Contains(text, "0x00002000:     ?     48") {
		t.Error(text)
	}
	json := write(t, func(w io.Writer) error {
		n := NewNodesJSON(w, sym)
		return errors.Join(n.Listing(leak.Listing{s}), n.Close(nil))
	})
	for _, want := range []string{`"owner":0,"owner_name":"idle"`, `"owner":3,"owner_name":"net"`} {
		if !strings.Contains(json, want) {
			t.Errorf("no %s in %s", want, json)
		}
	}
	s.Owners = nil
	s.Nodes = s.Nodes[:1]
	json = write(t, func(w io.Writer) error {
		n := NewNodesJSON(w, sym)
		return errors.Join(n.Listing(leak.Listing{s}), n.Close(nil))
	})
	if strings.Contains(json, "owner") {
		t.Error(json)
	}
}

// A listing written as text is read again as it was, a partial one as partial.
func TestNodesTextIsALog(t *testing.T) {
	in := leak.Listing{
		listing(1, "", "", 3, 0, 0x11ea0, 0x21744),
		listing(1, "exc interaction memory", "cut after 2 nodes: lightning", 2, 0, 0x11ea0),
	}
	for i, s := range []heap.Symbolizer{nil, sym, sym, sym} {
		text := write(t, func(w io.Writer) error {
			n := NewNodesText(w, s, Options{Width: []int{0, 0, 40, 50}[i]}) // behind, below, wrapped
			return errors.Join(n.Listing(in), n.Listing(leak.Listing{in[0]}), n.Close([]string{"a note"}))
		})
		var got []string
		for snap, err := range console.NewReader(strings.NewReader(text), "again").Snapshots() {
			if err != nil {
				t.Fatal(err)
			}
			got = append(got, fmt.Sprintf("%s %q %d %v", snap.Label, snap.Pool, len(snap.Nodes), snap.Partial != ""))
		}
		want := []string{`listing 1 "" 3 false`, `listing 1 "exc interaction memory" 2 true`, `listing 2 "" 3 false`}
		if d := cmp.Diff(want, got); d != "" {
			t.Error(d, text)
		}
	}
}

type full struct{}

var errFull = errors.New("disk full")

func (full) Write([]byte) (int, error) { return 0, errFull }

func TestWriteErrors(t *testing.T) {
	l := leak.Listing{listing(1, "", "", 3, 0, 1)}
	g := series(l, l)
	nodes := NewNodesText(full{}, symbol.None, Options{})
	doc := NewNodesJSON(full{}, symbol.None)
	for name, err := range map[string]error{
		"growth text": Text(full{}, &Document{Growth: g}, Options{}),
		"growth json": JSON(full{}, &Document{Growth: g}, Options{}),
		"groups text": GroupsText(full{}, series(l), nil, Options{}),
		"groups json": GroupsJSON(full{}, series(l), nil, Options{}),
		"diff text":   DiffText(full{}, leak.Compare(l, nil, sym), nil, Options{}),
		"diff json":   DiffJSON(full{}, leak.Compare(l, nil, sym), nil, Options{}),
		"nodes text":  nodes.Listing(l),
		"nodes json":  doc.Listing(l),
	} {
		if !errors.Is(err, errFull) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// sized makes nodes of 64 bytes at the addresses, all with one stack.
func sized(lrs heap.Stack, addrs ...heap.Addr) (nodes []heap.Node) {
	for _, a := range addrs {
		nodes = append(nodes, heap.Node{Addr: a, Total: 64, Stack: lrs})
	}
	return nodes
}

func TestDiffWithBytes(t *testing.T) {
	stack, other := heap.Stack{1, 2}, heap.Stack{3}
	before := &heap.Snapshot{Label: "mark", Source: "2s ago", Nodes: sized(stack, 64, 128, 192)}
	after := &heap.Snapshot{Label: "now", Source: "pool x", Nodes: sized(stack, 64, 256, 320, 384)}
	unknown := &heap.Snapshot{Label: "now", Source: "pool x", Nodes: append(sized(stack, 64, 256), heap.Node{Addr: 512, Stack: other})}
	text := func(to *heap.Snapshot, width int) string {
		d := leak.Compare(leak.Listing{before}, leak.Listing{to}, sym)
		return write(t, func(w io.Writer) error { return DiffText(w, d, nil, Options{Width: width, Top: -1}) })
	}
	if d := cmp.Diff(`From mark (2s ago, 3 nodes) to now (pool x, 4 nodes): 3 appeared (192 bytes), 2
disappeared (128 bytes), 1 stayed.

change  bytes  new  gone  stayed  call chain, innermost first
    +1    +64    3     2       1  read_sample (app.c:48) <- process (app.c:59)
`, text(after, 80)); d != "" {
		t.Error(d)
	}
	// Sizes that are not known do not pass for 0.
	if d := cmp.Diff(`From mark (2s ago, 3 nodes) to now (pool x, 3 nodes): 2 appeared, 2 disappeared,
1 stayed.

change  bytes  new  gone  stayed  call chain, innermost first
    +1      ?    1     0       0  evil?[31m?name
    -1    -64    1     2       1  read_sample (app.c:48) <- process (app.c:59)
`, text(unknown, 80)); d != "" {
		t.Error(d)
	}
	// What does not fit behind the numbers goes below them.
	if d := cmp.Diff(`From mark (2s ago, 3 nodes) to now (pool x, 4
nodes): 3 appeared (192 bytes), 2 disappeared
(128 bytes), 1 stayed.

change  bytes  new  gone  stayed  below: call chain, innermost first
    +1    +64    3     2       1
    read_sample (app.c:48) <-
      process (app.c:59)
`, text(after, 46)); d != "" {
		t.Error(d)
	}

	type bytes struct {
		New  *int `json:"new_bytes"`
		Gone *int `json:"gone_bytes"`
	}
	var doc struct {
		bytes
		Sites []bytes
	}
	parse := func(to *heap.Snapshot) {
		t.Helper()
		d := leak.Compare(leak.Listing{before}, leak.Listing{to}, sym)
		doc.Sites, doc.bytes = nil, bytes{}
		out := write(t, func(w io.Writer) error { return DiffJSON(w, d, nil, Options{Top: -1}) })
		if err := json.Unmarshal([]byte(out), &doc); err != nil {
			t.Fatal(err, out)
		}
	}
	parse(after)
	if *doc.New != 192 || *doc.Gone != 128 || *doc.Sites[0].New != 192 || *doc.Sites[0].Gone != 128 {
		t.Errorf("%+v", doc)
	}
	parse(unknown)
	if doc.New != nil || doc.Gone != nil || doc.Sites[0].New != nil || *doc.Sites[1].Gone != 128 {
		t.Errorf("%+v", doc)
	}
}

func TestDiffWithoutLabels(t *testing.T) {
	at := func(s int) time.Time { return time.Date(2024, 5, 6, 7, 8, s, 0, time.UTC) }
	for _, c := range []struct {
		from, to heap.Snapshot
		want     string
	}{
		{heap.Snapshot{Source: "pool a", Time: at(1)}, heap.Snapshot{Source: "pool a", Time: at(2)}, "From 07:08:01 (pool a, 0 nodes) to 07:08:02 (pool a, 0 nodes):"},
		{heap.Snapshot{Source: "pool a"}, heap.Snapshot{Label: "now"}, "From pool a (0 nodes) to now (0 nodes):"},
		{heap.Snapshot{}, heap.Snapshot{}, "From unnamed (0 nodes) to unnamed (0 nodes):"},
	} {
		d := leak.Compare(leak.Listing{&c.from}, leak.Listing{&c.to}, names{})
		got := write(t, func(w io.Writer) error { return DiffText(w, d, nil, Options{}) })
		if !strings.HasPrefix(got, c.want) {
			t.Errorf("%q, want %q in front", got, c.want)
		}
	}
}
