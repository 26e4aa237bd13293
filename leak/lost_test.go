package leak

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"os"
	"slices"
	"testing"

	"github.com/heapwright/heapwright/console"
	"github.com/heapwright/heapwright/heap"
	"github.com/heapwright/heapwright/symbol"
)

// lose returns the log without a share of its bytes, lost in pieces of at most
// so many.
func lose(log []byte, r *rand.Rand, share float64, piece int) []byte {
	log = slices.Clone(log)
	for n := int(share * float64(len(log))); n > 0; {
		k := min(n, 1+r.IntN(piece))
		i := r.IntN(len(log) - k)
		log = slices.Delete(log, i, i+k)
		n -= k
	}
	return log
}

// judgedLog returns what a log shows.
func judgedLog(t *testing.T, log []byte, sym heap.Symbolizer) *Growth {
	t.Helper()
	s := NewSeries(sym, Options{})
	for l, err := range Listings(console.NewReader(bytes.NewReader(log), "x.log").Snapshots()) {
		if err != nil {
			t.Fatal(err)
		}
		s.Add(l)
	}
	return s.Growth()
}

// smallDevice prints the log of a device with few call sites: start-up, a
// leak, a cache that fills and churn, with time stamps and lines of other
// tasks.
func smallDevice() []byte {
	const startUp, leaks, cache, churn = "0x00008104  0x0000811c  0x00008124", "0x00008040  0x00008054  0x00008100",
		"0x00008040  0x000080b0  0x00008108", "0x00008040  0x000080e0  0x0000810c"
	var log bytes.Buffer
	line := func(k, ms int, format string, args ...any) {
		fmt.Fprintf(&log, "[2026-11-21 %02d:%d0:00.%03d] ", 10+k/6, k%6, ms)
		fmt.Fprintf(&log, format+"\r\n", args...)
	}
	var nodes []string
	add := func(n int, site string) {
		for range n {
			nodes = append(nodes, site)
		}
	}
	add(20, startUp)
	for k := range 10 {
		for i, site := range nodes {
			if site == churn {
				nodes[i] = "" // its address is not used again
			}
		}
		add(6, leaks)
		if k < 3 {
			add(5, cache)
		}
		add(2+k%4, churn)
		line(k, 1, "Huawei LiteOS # memused")
		line(k, 2, "node            LR[0]       LR[1]       LR[2]   ")
		for i, site := range nodes {
			if i%11 == 5 {
				line(k, 3+i, "[INFO] wifi rssi -%d dBm", 40+i%30)
			}
			if site != "" {
				line(k, 3+i, "0x%08x:  %s ", 0x20001000+64*i, site)
			}
		}
		line(k, 999, "")
		line(k, 999, "Huawei LiteOS # ")
	}
	return log.Bytes()
}

// What a line lost makes nodes unknown. It turns no site into another and
// frees nothing.
func TestLostBytes(t *testing.T) {
	log, err := os.ReadFile("../console/testdata/leak-series.log")
	if err != nil {
		t.Fatal(err)
	}
	_, sym := leakSeries(t)
	for _, c := range []struct {
		name  string
		log   []byte
		sym   heap.Symbolizer
		leaks []string
	}{
		{"a real device", log, sym, []string{
			"app_malloc <- pkt_alloc <- net_rx", "sensor_read_sample <- sensor_process <- sensor_task", "malloc <- log_dup <- log_line",
		}},
		{"a small one", smallDevice(), symbol.None, []string{"0x8040 <- 0x8054 <- 0x8100"}},
	} {
		for _, share := range []float64{0, .001, .005} {
			for _, piece := range []int{1, 8, 60} {
				found := 0
				const seeds = 40
				for seed := range uint64(seeds) {
					for _, s := range judgedLog(t, lose(c.log, rand.New(rand.NewPCG(seed, 1)), share, piece), c.sym).Sites {
						leaks := slices.Contains(c.leaks, chain(s.Frames))
						if leaks && s.Verdict == Stable || !leaks && s.Verdict == Confirmed {
							t.Errorf("%s, %v lost in pieces of %d, seed %d: %s %s: %s", c.name, share, piece, seed, s.Verdict, chain(s.Frames), s.Reason)
						}
						if leaks && s.Verdict == Confirmed {
							found++
						}
					}
				}
				if all := seeds * len(c.leaks); share <= .001 && found < all*9/10 {
					t.Errorf("%s, %v lost in pieces of %d: %d of %d leaks found", c.name, share, piece, found, all)
				}
			}
		}
	}
}

// lossyOnce is listings of which one lacks some nodes and says so.
func lossyOnce(listings []Listing, number int, lacks func(i int) bool) {
	s := listings[number-1][0]
	var kept []heap.Node
	for i, n := range s.Nodes {
		if lacks(i) {
			s.Missing++
		} else {
			kept = append(kept, n)
		}
	}
	s.Nodes, s.Partial = kept, "rows unreadable"
}

// Whether a node died that a damaged listing lacks, the next one decides.
func TestDamagedListingsDoNotBury(t *testing.T) {
	for _, c := range []struct {
		name  string
		tell  func(s *story)
		lossy []int
		every int // which nodes they lack
		want  string
	}{
		{"a leak", func(s *story) { s.leaker(1, 4) }, []int{4, 8}, 13, "CONFIRMED new nodes keep coming, and none of the 32 nodes born since listing 2 was ever freed"},
		{"a leak, the last", func(s *story) { s.leaker(1, 4) }, []int{10}, 13, "CONFIRMED new nodes keep coming, and none of the 32 nodes born since listing 2 was ever freed"},
		{"churn", func(s *story) {
			for i := 1; i <= 10; i++ {
				s.add(1, 12, i, i)
			}
		}, []int{2, 3, 4, 5, 6, 7, 8, 9, 10}, 11, "STABLE every node is freed within 2 listings: churn"},
		{"too much is missing", func(s *story) { s.leaker(1, 4) }, []int{10}, 3, "CONFIRMED new nodes keep coming, and none of the 28 nodes born since listing 2 was ever freed"},
	} {
		s := story{n: 10}
		c.tell(&s)
		listings := s.listings()
		for k, number := range c.lossy {
			lossyOnce(listings, number, func(i int) bool { return i%c.every == k%c.every })
		}
		site := ranked(listings, symbol.None).Sites[0]
		if got := string(site.Verdict) + " " + site.Reason; got != c.want {
			t.Errorf("%s:\ngot  %s\nwant %s", c.name, got, c.want)
		}
	}
}
