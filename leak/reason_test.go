package leak

import (
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/heapwright/heapwright/heap"
	"github.com/heapwright/heapwright/symbol"
)

// A fate is in which listings, from 1, a node was first and last seen.
type fate struct{ first, last int }

// fates lists a device whose nodes each have an address of their own, so that
// it is known which node is which. It returns what became of each site's nodes.
func fates(d *device) (listings []Listing, all [][]fate) {
	times := d.times()
	all = make([][]fate, d.sites)
	for range times {
		listings = append(listings, Listing{&heap.Snapshot{}})
	}
	for site, lives := range d.lives {
		for i, l := range lives {
			first, _ := slices.BinarySearch(times, l.born)
			after, _ := slices.BinarySearch(times, l.died)
			if first >= after {
				continue // never seen
			}
			all[site] = append(all[site], fate{first + 1, after})
			for _, listing := range listings[first:after] {
				listing[0].Nodes = append(listing[0].Nodes, heap.Node{Addr: heap.Addr(1+site)<<20 + heap.Addr(16*i), Stack: stackOf(site)})
			}
		}
	}
	return listings, all
}

var numeral = regexp.MustCompile(`[0-9]+`)

// untrue recounts what a reason states; it returns "" if that is so.
func untrue(reason string, nodes []fate, n int) string {
	count := func(which func(fate) bool) (k int) {
		for _, f := range nodes {
			if which(f) {
				k++
			}
		}
		return k
	}
	fresh := func(f fate) bool { return f.first > 1 }
	stays := func(f fate) bool { return f.last == n }
	born := count(fresh)
	kept := count(func(f fate) bool { return fresh(f) && stays(f) })
	held := count(stays)
	gone := len(nodes) - held
	var v []int
	for _, s := range numeral.FindAllString(reason, -1) {
		k, _ := strconv.Atoi(s)
		v = append(v, k)
	}
	freedWithin := func(k int, which func(fate) bool) bool {
		return count(func(f fate) bool { return which(f) && f.last-f.first >= k }) == 0
	}
	since := func(listing int) func(fate) bool { return func(f fate) bool { return f.first > listing } }
	holds := true
	switch is := func(s string) bool { return strings.HasPrefix(reason, s) }; {
	case is("allocated before the first listing"):
		holds = born == 0 && gone == 0
	case is("no new node since the first listing"):
		holds = born == 0 && v[0] == gone && v[1] == len(nodes)
	case is("only one new node stays"):
		holds = kept == 1
	case is("of the ") && strings.Contains(reason, " new nodes that stay only one "):
		holds = v[0] == kept && kept > 1
	case is("its only new"):
		holds = kept == born && strings.Contains(reason, "nodes") == (kept > 1)
	case is("every node is freed within"):
		holds = freedWithin(v[0], func(fate) bool { return true })
	case is("every new node is freed within"):
		holds = freedWithin(v[0], fresh) && !freedWithin(v[0], func(fate) bool { return true })
	case is("of ") && strings.HasSuffix(reason, ": churn"):
		holds = v[0] == born && v[1] == kept && count(func(f fate) bool { return fresh(f) && stays(f) && f.first <= n-v[2] }) == 0
	case is("fills to"):
		last := count(func(f fate) bool { return stays(f) && f.first == v[1] })
		holds = v[0] == held && v[1] < n && last > 0 && count(func(f fate) bool { return stays(f) && f.first > v[1] }) == 0
	case is("of ") && strings.HasSuffix(reason, "too young to tell anything"):
		holds = v[0] == kept && v[1] == count(func(f fate) bool { return stays(f) && f.first == n })
	case strings.HasSuffix(reason, ": a one-off step"):
		holds = v[1] == kept && 2*v[0] > v[1] && v[0] == count(func(f fate) bool { return stays(f) && f.first == v[2] })
	case is("the ") && strings.Contains(reason, " new nodes that stay came in "):
		in := map[int]bool{}
		for _, f := range nodes {
			if fresh(f) && stays(f) {
				in[f.first] = true
			}
		}
		holds = v[0] == kept && v[1] == len(in)
	case is("no new node stays of those between"):
		holds = count(func(f fate) bool { return stays(f) && f.first > v[0] && f.first < v[1] }) == 0 && v[1] > v[0]+1
	case is("ever fewer new nodes stay, as"):
	case is("ever fewer new nodes stay"):
		holds = v[0]+v[1] == kept && v[0] > v[1]
	case is("old nodes are freed as new ones come"):
		holds = v[0] == born && v[1] == gone
	case is("old nodes are freed lately"):
		holds = v[0] <= count(func(f fate) bool { return f.last < n && f.last >= v[1] }) &&
			v[2] <= count(func(f fate) bool { return stays(f) && f.first > v[1] })
	case is("old nodes are freed: "):
		holds = v[0] <= gone && v[1] <= len(nodes)
	case is("since listing"):
		holds = v[1] == count(func(f fate) bool { return f.first <= v[0] && f.last >= v[0] }) && v[2] == held &&
			v[3] == count(func(f fate) bool { return stays(f) && f.first > v[0] })
	case strings.Contains(reason, " born since "):
		// Freed and all, and which: in one order or another.
		age, from := 0, 1
		if m := regexp.MustCompile(`older than ([0-9]+)`).FindStringSubmatch(reason); m != nil {
			age, _ = strconv.Atoi(m[1])
		}
		if m := regexp.MustCompile(`born since listing ([0-9]+)`).FindStringSubmatch(reason); m != nil {
			from, _ = strconv.Atoi(m[1])
		}
		old := func(f fate) bool { return since(from)(f) && f.last-f.first >= age }
		all, freed := count(old), count(func(f fate) bool { return old(f) && !stays(f) })
		switch {
		case strings.Contains(reason, "none of the "):
			holds = v[0] == all && freed == 0
		case is("new nodes keep coming"):
			holds = v[0] == all && slices.Contains(v[1:], freed)
		default:
			holds = v[0] == freed && v[1] == all
		}
	case is("too few new nodes stay"), is("new nodes that stay come in steps"):
	default:
		return "unknown"
	}
	if !holds {
		return fmt.Sprintf("%d came, %d of them stay, %d gone, %d left; %v", born, kept, gone, held, nodes[max(0, len(nodes)-20):])
	}
	return ""
}

// What reasons state is so, for every kind of site.
func TestReasonsAreTrue(t *testing.T) {
	worlds := []world{longSoak, soak(4), soak(7), soak(10), soak(30), soak(60), hard(30)}
	seeds := 4
	if testing.Short() {
		seeds = 1
	}
	seen := map[string]int{}
	for i, w := range worlds {
		w.sites, w.leaks = 300, 30
		for seed := range seeds {
			d := newDevice(w, uint64(1000*i+seed))
			listings, nodes := fates(d)
			for _, s := range ranked(listings, symbol.None).Sites {
				site := siteOf(&s)
				if why := untrue(s.Reason, nodes[site], len(listings)); why != "" {
					t.Errorf("%d listings, %s: %s %s, but %s", len(listings), d.kind[site], s.Verdict, s.Reason, why)
				}
				seen[numeral.ReplaceAllString(s.Reason, "N")]++
			}
		}
	}
	if len(seen) < 20 {
		t.Errorf("only %d kinds of reasons", len(seen))
	}
}
