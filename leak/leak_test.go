package leak

import (
	"bufio"
	"errors"
	"fmt"
	"iter"
	"os"
	"regexp"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/heapwright/heapwright/console"
	"github.com/heapwright/heapwright/heap"
	"github.com/heapwright/heapwright/symbol"
)

func leakSeries(t *testing.T) ([]Listing, heap.Symbolizer) {
	t.Helper()
	f, err := os.Open("../console/testdata/leak-series.log")
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	sym, err := symbol.Open("../console/testdata/leak-series.nm.txt")
	if err != nil {
		t.Fatal(err)
	}
	var all []Listing
	for l, err := range Listings(console.NewReader(f, "leak-series.log").Snapshots()) {
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, l)
	}
	return all, sym
}

func chain(frames []heap.Frame) string {
	var names []string
	for _, f := range frames {
		names = append(names, f.String())
	}
	return strings.Join(names, " <- ")
}

func counts(s *Site, n int) []int {
	c := make([]int, n)
	for i := range c {
		c[i] = s.At(i + 1).Nodes
	}
	return c
}

// The device itself counted: every line of the truth must come out. It tells
// calls in one function apart by line; names alone cannot, so lines of one
// function chain are summed.
func TestTruth(t *testing.T) {
	listings, sym := leakSeries(t)
	f, err := os.Open("../console/testdata/leak-series.truth.txt")
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	line := regexp.MustCompile(`^\[([\d, ]+)\] (.*?) \('`)
	where := regexp.MustCompile(`@\S+( \(discriminator \d+\))?`)
	want := map[string][]int{}
	lines := 0
	for in := bufio.NewScanner(f); in.Scan(); {
		m := line.FindStringSubmatch(in.Text())
		if m == nil {
			continue
		}
		lines++
		name := where.ReplaceAllString(m[2], "")
		if want[name] == nil {
			want[name] = make([]int, 7)
		}
		for i, s := range strings.Split(m[1], ", ") {
			var n int
			if _, err := fmt.Sscan(s, &n); err != nil {
				t.Fatal(err)
			}
			want[name][i] += n
		}
	}
	if lines != 28 {
		t.Fatalf("%d lines of truth read", lines)
	}
	series := NewSeries(sym, Options{})
	for _, l := range listings {
		series.Add(l)
	}
	g := series.Growth()
	got := map[string][]int{}
	for i := range g.Sites {
		got[chain(g.Sites[i].Frames)] = counts(&g.Sites[i], 7)
	}
	if d := cmp.Diff(want, got); d != "" {
		t.Error(d)
	}
	var top []string
	for _, s := range g.Sites[:4] {
		top = append(top, fmt.Sprintf("%+d %s", s.Growth, chain(s.Frames)))
	}
	if d := cmp.Diff([]string{
		"+83 app_malloc <- pkt_alloc <- net_rx",
		"+83 sensor_read_sample <- sensor_process <- sensor_task",
		"+41 malloc <- log_dup <- log_line",
		"+20 cache_fill <- cache_task <- OsTaskEntry",
	}, top); d != "" {
		t.Error(d)
	}
	if w := g.Pool(""); w != (Window{First: 1, Last: 7, Complete: 7, Shown: 7, Runs: 1, Free: 0xf4669c}) || !g.Conclusive() {
		t.Errorf("%+v", w)
	}
}

// Without symbols the sites are the raw stacks, as many as the truth has lines.
func TestWithoutSymbols(t *testing.T) {
	listings, _ := leakSeries(t)
	series := NewSeries(symbol.None, Options{})
	for _, l := range listings {
		series.Add(l)
	}
	g := series.Growth()
	if len(g.Sites) != 28 {
		t.Errorf("%d sites", len(g.Sites))
	}
	if d := cmp.Diff([]int{19, 32, 49, 65, 81, 97, 102}, counts(&g.Sites[0], 7)); d != "" {
		t.Error(d)
	}
}

// snapshot makes one of nodes given as "address:lr,lr".
func snapshot(pool, partial string, nodes ...string) *heap.Snapshot {
	s := &heap.Snapshot{Pool: pool, Partial: partial}
	for _, text := range nodes {
		addr, lrs, _ := strings.Cut(text, ":")
		var n heap.Node
		if err := n.Addr.UnmarshalText([]byte("0x" + addr)); err != nil {
			panic(err)
		}
		for _, lr := range strings.Split(lrs, ",") {
			var a heap.Addr
			if err := a.UnmarshalText([]byte("0x" + lr)); err != nil {
				panic(err)
			}
			n.Stack = append(n.Stack, a)
		}
		s.Nodes = append(s.Nodes, n)
	}
	return s
}

func growth(listings ...Listing) *Growth {
	s := NewSeries(symbol.None, Options{})
	for _, l := range listings {
		s.Add(l)
	}
	return s.Growth()
}

func TestPartialListingsAreNotCompared(t *testing.T) {
	whole := func(nodes ...string) Listing { return Listing{snapshot("", "", nodes...)} }
	cut := func(nodes ...string) Listing { return Listing{snapshot("", "cut", nodes...)} }
	for _, c := range []struct {
		name     string
		listings []Listing
		window   Window
		growth   int
	}{
		{"cut at the end", []Listing{whole("10:1"), whole("10:1", "20:1"), cut("10:1")}, Window{First: 1, Last: 2, Complete: 2, Shown: 3, Runs: 1}, 1},
		{"cut at the start", []Listing{cut("10:1"), whole("10:1", "20:1"), whole("10:1")}, Window{First: 2, Last: 3, Complete: 2, Shown: 3, Runs: 1}, -1},
		{"one complete", []Listing{whole("10:1"), cut("10:1", "20:1")}, Window{First: 1, Last: 2, Complete: 1, Shown: 2, Runs: 1}, 1},
		{"none complete", []Listing{cut("10:1"), cut("10:1", "20:1")}, Window{First: 1, Last: 2, Shown: 2, Runs: 1}, 1},
		{"a single one", []Listing{whole("10:1")}, Window{First: 1, Last: 1, Complete: 1, Shown: 1, Runs: 1}, 0},
	} {
		g := growth(c.listings...)
		if g.Pools[0] != c.window {
			t.Errorf("%s: %+v, want %+v", c.name, g.Pools[0], c.window)
		}
		if g.Conclusive() != (c.window.Complete >= 2) {
			t.Errorf("%s: conclusive %v", c.name, g.Conclusive())
		}
		if g.Sites[0].Growth != c.growth {
			t.Errorf("%s: growth %d, want %d", c.name, g.Sites[0].Growth, c.growth)
		}
	}
}

func TestPoolsAreKeptApart(t *testing.T) {
	g := growth(
		Listing{snapshot("", "", "10:1"), snapshot("exc", "", "90:1")},
		Listing{snapshot("", "", "10:1", "20:1"), snapshot("exc", "cut", "90:1", "a0:1")},
		Listing{snapshot("", "", "10:1", "20:1", "30:1"), snapshot("exc", "", "90:1", "a0:1")},
	)
	if len(g.Sites) != 2 || g.Sites[0].Pool != "" || g.Sites[0].Growth != 2 || g.Sites[1].Pool != "exc" || g.Sites[1].Growth != 1 {
		t.Errorf("%+v", g.Sites)
	}
	if w := g.Pool("exc"); w.Complete != 2 || w.First != 1 || w.Last != 3 {
		t.Errorf("%+v", w)
	}
	if g.Has(1, "nowhere") || !g.Has(2, "exc") {
		t.Error("Has")
	}
}

func TestBytes(t *testing.T) {
	s := snapshot("", "", "10:1", "20:1", "30:2", "40:2")
	s.Nodes[0].Total, s.Nodes[1].Size, s.Nodes[2].Total = 64, 32, 16
	free := heap.Node{Addr: 0x50, State: heap.Free, Total: 4096, Stack: heap.Stack{1}}
	s.Nodes = append(s.Nodes, free)
	g := growth(Listing{snapshot("", "")}, Listing{s})
	if c := g.Sites[0].At(2); !g.Sites[0].Sized || c.Bytes != 96 || c.Nodes != 2 || g.Sites[0].GrowthBytes != 96 {
		t.Errorf("%+v", g.Sites[0])
	}
	if g.Sites[1].Sized || g.Sites[1].GrowthBytes != 0 {
		t.Error("a site with a node of unknown size passes for sized")
	}
	if n := g.Listings[1][0].Nodes; n != 4 {
		t.Errorf("%d used nodes", n)
	}
}

func TestListings(t *testing.T) {
	broken := errors.New("broken")
	source := func(yield func(*heap.Snapshot, error) bool) {
		for _, pool := range []string{"", "exc", "", "", "exc", "x"} {
			if !yield(&heap.Snapshot{Pool: pool}, nil) {
				return
			}
		}
		yield(nil, broken)
	}
	var got []string
	for l, err := range Listings(iter.Seq2[*heap.Snapshot, error](source)) {
		var pools []string
		for _, s := range l {
			pools = append(pools, s.Pool)
		}
		got = append(got, fmt.Sprintf("%q %v", pools, err))
	}
	if d := cmp.Diff([]string{`["" "exc"] <nil>`, `[""] <nil>`, `["" "exc" "x"] <nil>`, `[] broken`}, got); d != "" {
		t.Error(d)
	}
}

func show(nodes []heap.Node) string {
	var s []string
	for _, n := range nodes {
		s = append(s, n.Addr.String())
	}
	return strings.Join(s, " ")
}

func TestCompare(t *testing.T) {
	a := snapshot("", "", "10:1", "20:1", "30:2", "40:3")
	b := snapshot("", "", "10:1", "25:1", "26:1", "30:9", "50:3")
	d := Compare(Listing{a}, Listing{b}, symbol.None)
	var got []string
	for _, c := range d.Changes {
		got = append(got, fmt.Sprintf("%s: new %s, gone %s, kept %d", chain(c.Frames), show(c.New), show(c.Gone), c.Kept))
	}
	if diff := cmp.Diff([]string{
		"0x1: new 0x25 0x26, gone 0x20, kept 1",
		"0x9: new 0x30, gone , kept 0",
		"0x3: new 0x50, gone 0x40, kept 0",
		"0x2: new , gone 0x30, kept 0",
	}, got); diff != "" {
		t.Error(diff)
	}
	if d.New != 4 || d.Gone != 3 || d.Kept != 1 || d.Unknown != 0 || d.Partial() {
		t.Errorf("%+v", d)
	}
}

func TestCompareBirths(t *testing.T) {
	a, b := snapshot("", "", "10:1", "20:1"), snapshot("", "", "10:1", "20:1")
	a.Nodes[0].Birth, b.Nodes[0].Birth = 5, 9
	a.Nodes[1].Birth = 5
	d := Compare(Listing{a}, Listing{b}, symbol.None)
	if d.New != 1 || d.Gone != 1 || d.Kept != 1 {
		t.Errorf("%+v", d)
	}
}

// What a cut listing does not show has not been freed.
func TestCompareCut(t *testing.T) {
	whole := snapshot("", "", "10:1", "20:1", "30:1", "40:1")
	d := Compare(Listing{whole}, Listing{snapshot("", "cut", "10:1", "30:1")}, symbol.None)
	if d.Gone != 1 || d.Unknown != 1 || d.Kept != 2 || !d.Partial() {
		t.Errorf("cut second: %+v", d)
	}
	d = Compare(Listing{snapshot("", "cut", "10:1", "30:1")}, Listing{whole}, symbol.None)
	if d.New != 1 || d.Unknown != 1 || d.Kept != 2 {
		t.Errorf("cut first: %+v", d)
	}
	d = Compare(Listing{snapshot("", "cut", "10:1")}, Listing{whole, snapshot("exc", "", "90:1")}, symbol.None)
	if d.New != 0 || d.Unknown != 4 {
		t.Errorf("pool not reached: %+v", d)
	}
	d = Compare(Listing{snapshot("", "", "10:1")}, Listing{snapshot("", "", "10:1"), snapshot("exc", "", "90:1")}, symbol.None)
	if d.New != 1 || d.Changes[0].Pool != "exc" {
		t.Errorf("new pool: %+v", d)
	}
}

// The counts of a diff must agree with the growth that the same two listings
// show, whatever they hold.
func TestDiffAgreesWithGrowth(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		draw := func(label string) *heap.Snapshot {
			s := &heap.Snapshot{}
			stacks := rapid.MapOf(rapid.IntRange(1, 40), rapid.IntRange(1, 4)).Draw(t, label)
			for addr := 1; addr <= 40; addr++ {
				if lr, ok := stacks[addr]; ok {
					s.Nodes = append(s.Nodes, heap.Node{Addr: heap.Addr(addr), Stack: heap.Stack{heap.Addr(lr)}})
				}
			}
			return s
		}
		a, b := draw("first"), draw("last")
		g := growth(Listing{a}, Listing{b})
		d := Compare(Listing{a}, Listing{b}, symbol.None)
		if d.Partial() { // an empty one, for example
			if g.Listings[1][0].Partial == "" {
				t.Fatalf("only the diff says that the last listing is %s", d.To[0].Partial)
			}
			return
		}
		changed := map[string]int{}
		for _, c := range d.Changes {
			changed[chain(c.Frames)] = len(c.New) - len(c.Gone)
		}
		for _, s := range g.Sites {
			if changed[chain(s.Frames)] != s.Growth {
				t.Fatalf("%s: %d new, growth %d", chain(s.Frames), changed[chain(s.Frames)], s.Growth)
			}
		}
		if d.Kept+d.Gone != len(a.Nodes) || d.Kept+d.New != len(b.Nodes) {
			t.Fatalf("%+v of %d and %d nodes", d, len(a.Nodes), len(b.Nodes))
		}
	})
}
