package leak

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/heapwright/heapwright/heap"
	"github.com/heapwright/heapwright/symbol"
)

// lossy is a device of which it is known what is lost: site by site how many
// nodes are referenced, lost directly and lost through others.
type lossy []struct {
	lr                          heap.Addr
	referenced, direct, through int
}

// snapshot holds all nodes, the lost ones first, each 64 bytes.
func (d lossy) snapshot() (*heap.Snapshot, map[heap.Addr]Loss) {
	s := &heap.Snapshot{Source: "ram.bin"}
	loss := map[heap.Addr]Loss{}
	at := heap.Addr(0x1000)
	for _, site := range d {
		for i := range site.referenced + site.direct + site.through {
			switch {
			case i < site.direct:
				loss[at] = LostDirectly
			case i < site.direct+site.through:
				loss[at] = LostIndirectly
			}
			s.Nodes = append(s.Nodes, heap.Node{Addr: at, Total: 64, Stack: heap.Stack{site.lr}})
			at += 64
		}
	}
	return s, loss
}

// search adds to g what is lost of a snapshot; through each head 2 nodes of 100
// bytes are lost.
func search(g *Growth, s *heap.Snapshot, loss map[heap.Addr]Loss, gaps string, unaligned bool) {
	l := NewLosses(g, symbol.None)
	for i := range s.Nodes {
		through := Amount{}
		if loss[s.Nodes[i].Addr] == LostDirectly {
			through = Amount{2, 100}
		}
		l.Add(s, &s.Nodes[i], loss[s.Nodes[i].Addr], through)
	}
	l.Finish(gaps, unaligned, func(samples []heap.Addr) [][]string {
		steps := make([][]string, len(samples))
		for i, a := range samples {
			steps[i] = []string{fmt.Sprint("held ", a)}
		}
		return steps
	})
}

func verdictOf(g *Growth, lr heap.Addr) *Site {
	i := slices.IndexFunc(g.Sites, func(s Site) bool { return s.Stack.Equal(heap.Stack{lr}) })
	return &g.Sites[i]
}

// What is lost in a single dump, without growth to look at.
func TestUnreferencedAlone(t *testing.T) {
	device := lossy{{1, 3, 7, 0}, {2, 9, 1, 0}, {3, 0, 0, 14}, {4, 20, 0, 0}}
	for _, c := range []struct {
		gaps      string
		unaligned bool
		want      [4]Verdict
	}{
		{"", true, [4]Verdict{Confirmed, Suspect, Inconclusive, Inconclusive}},
		{"", false, [4]Verdict{Suspect, Suspect, Inconclusive, Inconclusive}},
		{".bss is missing", true, [4]Verdict{Inconclusive, Inconclusive, Inconclusive, Inconclusive}},
	} {
		s, loss := device.snapshot()
		g := Group(Listing{s}, symbol.None)
		search(g, s, loss, c.gaps, c.unaligned)
		for i, want := range c.want {
			if s := verdictOf(g, heap.Addr(i+1)); s.Verdict != want {
				t.Errorf("%q, unaligned %t: site %d is %s: %s", c.gaps, c.unaligned, i+1, s.Verdict, s.Reason)
			}
		}
		u := g.Unreferenced
		want := Unreferenced{Gaps: c.gaps, Unaligned: c.unaligned, Used: Amount{54, 54 * 64}, Direct: Amount{8, 8 * 64}, Indirect: Amount{14, 14 * 64}, Sites: u.Sites}
		if d := cmp.Diff(want, *u); d != "" {
			t.Error(d)
		}
		if s := u.Sites[0]; len(u.Sites) != 3 || s.Through != (Amount{14, 700}) || len(s.Heads) != 7 || s.Heads[0].Addr != 0x1000 || s.Verdict != c.want[0] {
			t.Errorf("%d sites, the first %+v", len(u.Sites), s)
		}
		if s := verdictOf(g, 1); c.want[0] == Confirmed && (s.LeakedNodes != 7 || s.LeakedBytes != 7*64) {
			t.Errorf("%d nodes of %d bytes leaked", s.LeakedNodes, s.LeakedBytes)
		}
		if o := g.Gate(Confirmed); len(o.Failing) != strings.Count(fmt.Sprint(c.want), string(Confirmed)) || !o.Inconclusive {
			t.Errorf("%+v", o)
		}
	}
}

// growing returns what so many listings show of a site that leaks and of one
// that grows because a container does, and the last snapshot.
func growing(listings int) (*Growth, *heap.Snapshot) {
	series := NewSeries(symbol.None, Options{})
	var s *heap.Snapshot
	for k := range listings {
		s = &heap.Snapshot{Source: "ram.bin", Time: time.Unix(int64(60*k), 0)}
		for i := range 4 * (k + 1) {
			s.Nodes = append(s.Nodes,
				heap.Node{Addr: heap.Addr(0x1000 + 128*i), Total: 64, Stack: heap.Stack{1}, Birth: uint64(i)},
				heap.Node{Addr: heap.Addr(0x1040 + 128*i), Total: 64, Stack: heap.Stack{2}, Birth: uint64(i)})
		}
		series.Add(Listing{s})
	}
	return series.Growth(), s
}

// Growth and loss are told apart, and agree where they do.
func TestUnreferencedAndGrowth(t *testing.T) {
	for _, c := range []struct {
		lost int // of the 24 that leak
		gaps string
		want string
	}{
		{24, "", "CONFIRMED new nodes keep coming, and none of the 20 nodes born since the first listing was ever freed; and no pointer leads to 24 of its 24 nodes"},
		{1, "", "CONFIRMED new nodes keep coming, and none of the 20 nodes born since the first listing was ever freed; and no pointer leads to 1 of its 24 nodes"},
		{24, "gaps", "CONFIRMED new nodes keep coming, and none of the 20 nodes born since the first listing was ever freed; and no pointer leads to 24 of its 24 nodes"},
		{0, "", "CONFIRMED new nodes keep coming, and none of the 20 nodes born since the first listing was ever freed"},
	} {
		g, s := growing(6)
		loss := map[heap.Addr]Loss{}
		for i := range c.lost {
			loss[heap.Addr(0x1000+128*i)] = LostDirectly
		}
		search(g, s, loss, c.gaps, false)
		site, held := verdictOf(g, 1), verdictOf(g, 2)
		if got := fmt.Sprint(site.Verdict, " ", site.Reason); got != c.want {
			t.Errorf("got  %s\nwant %s", got, c.want)
		}
		if (site.Lost != nil) != (c.lost > 0) || (len(site.Held) > 0) != (c.lost == 0) {
			t.Errorf("%d lost, held by %q", c.lost, site.Held)
		}
		if held.Verdict != Confirmed || !slices.Equal(held.Held, []string{"held 0x1bc0"}) {
			t.Errorf("%s, held by %q", held.Verdict, held.Held)
		}
	}
}

// A suspect by growth of which half is lost is confirmed; a cache that loses
// nodes is none.
func TestUnreferencedAgrees(t *testing.T) {
	for lost, want := range map[int]Verdict{0: Suspect, 3: Suspect, 4: Confirmed, 8: Confirmed} {
		s, loss := lossy{{1, 8 - lost, lost, 0}}.snapshot()
		g := Group(Listing{s}, symbol.None)
		g.Sites[0].Verdict, g.Sites[0].Reason, g.Sites[0].LeakedNodes = Suspect, "grew", 8
		search(g, s, loss, "", false)
		if g.Sites[0].Verdict != want {
			t.Errorf("%d of 8 lost: %s", lost, g.Sites[0].Verdict)
		}
		supp, err := ReadSuppressions(strings.NewReader("cache:0x1 max=1000"), "s")
		if err != nil {
			t.Fatal(err)
		}
		supp.Apply(g, time.Now())
		if covered := g.Sites[0].Suppressed != ""; covered != (lost == 0) {
			t.Errorf("%d of 8 lost: suppressed %t: %s", lost, covered, g.Sites[0].Reason)
		}
	}
}

// The sums are those of a recount, in whatever order nodes come.
func TestLossesAddUp(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var device lossy
		for lr := range rapid.IntRange(1, 5).Draw(t, "sites") {
			n := func(what string) int { return rapid.IntRange(0, 12).Draw(t, what) }
			device = append(device, struct {
				lr                          heap.Addr
				referenced, direct, through int
			}{heap.Addr(lr + 1), n("referenced"), n("direct"), n("through")})
		}
		s, loss := device.snapshot()
		g := Group(Listing{s}, symbol.None)
		search(g, s, loss, "", true)
		sites := 0
		for _, d := range device {
			if d.direct+d.through == 0 {
				continue
			}
			sites++
			i := slices.IndexFunc(g.Unreferenced.Sites, func(s *LostSite) bool { return s.Stack[0] == d.lr })
			got := g.Unreferenced.Sites[i]
			if int(got.Direct.Nodes) != d.direct || int(got.Indirect.Nodes) != d.through || int(got.Used.Nodes) != d.referenced+d.direct+d.through ||
				int(got.Through.Nodes) != 2*d.direct || len(got.Heads) != min(d.direct, maxHeads) {
				t.Fatalf("%+v: %+v", d, got)
			}
			if want := d.direct >= leastEvents; (got.Verdict == Confirmed) != want {
				t.Fatalf("%d lost: %s", d.direct, got.Verdict)
			}
		}
		if len(g.Unreferenced.Sites) != sites {
			t.Fatalf("%d sites, want %d", len(g.Unreferenced.Sites), sites)
		}
	})
}
