package reach

import (
	"cmp"
	"context"
	"fmt"
	"math"
	"slices"

	"github.com/heapwright/heapwright/heap"
)

const (
	// maxEntries bounds the entries, so that their numbers and those of roots
	// fit into 32 bits together, and into an int of 32 bits.
	maxEntries = 1<<31 - 1
	// bucketShift is the smallest length of a bucket, as a power of two.
	bucketShift = 6
	// maxHops bounds the entries that are looked at one after the other in a
	// bucket; beyond that a binary search is quicker.
	maxHops = 8
	// maxTail bounds what may lie behind the last node without being taken for
	// nodes that the walk could not find: heads of end nodes are shorter.
	maxTail = 1 << 10
	// sample is after how many nodes the number of all is estimated.
	sample = 1 << 12
)

// index finds the node that an address lies in.
type index struct {
	// Of each entry; it ends where the next one begins. There is one more than
	// needed behind each pool.
	at    []heap.Addr
	head  []uint32 // length of a node's head in bytes, saturated
	state []State

	regions []region // ascending, disjoint
	lo, hi  heap.Addr
	// near has a bit for each piece of [lo, hi), of a length that is a power of
	// two, which says that it has a part of a pool; only for several pools.
	near      []uint64
	nearShift uint

	disorder, outside, overlaps, unknown uint64 // nodes

	missing []string // what is not in memory
	empty   []string // names of pools without nodes
}

// region is a pool.
type region struct {
	heap.Span
	shift uint
	first []uint32 // the entry that each bucket begins in; the last one is the region's last entry
	from  uint32   // its first entry
}

func (x *index) add(at heap.Addr, head uint32, s State) {
	x.at = append(x.at, at)
	x.head = append(x.head, head)
	x.state = append(x.state, s)
}

func (x *index) length(k uint32) uint64 { return uint64(x.at[k+1] - x.at[k]) }

// payload returns where the payload of a node begins, its end if it has none.
func (x *index) payload(k uint32) heap.Addr {
	return x.at[k] + heap.Addr(min(uint64(x.head[k]), x.length(k)))
}

// build walks the pools.
func (x *index) build(ctx context.Context, mem *memory, pools []Pool) error {
	pools = slices.Clone(pools)
	slices.SortStableFunc(pools, func(a, b Pool) int { return cmp.Compare(a.Span.Start, b.Span.Start) })
	for i := range pools {
		p := &pools[i]
		switch {
		case p.Span.End <= p.Span.Start:
			return fmt.Errorf("reach: the pool at %s ends at %s", p.Span.Start, p.Span.End)
		case i > 0 && p.Span.Start < pools[i-1].Span.End:
			return fmt.Errorf("reach: the pools at %s and %s overlap", pools[i-1].Span.Start, p.Span.Start)
		}
		there := mem.there(p.Span)
		if there < p.Span.Len() {
			x.missing = append(x.missing, fmt.Sprintf("%d of %d bytes of pool %s", p.Span.Len()-there, p.Span.Len(), p.name()))
		}
		if err := x.collect(ctx, p, there); err != nil {
			return err
		}
	}
	if len(pools) == 0 {
		return fmt.Errorf("reach: no pool")
	}
	x.lo, x.hi = pools[0].Span.Start, pools[len(pools)-1].Span.End
	x.sift()
	return nil
}

// collector makes entries of a pool's nodes.
type collector struct {
	*index
	pool heap.Span
	from int       // the first entry
	end  heap.Addr // how far the entries reach so far
	open bool      // the last node reaches up to the next one
}

// collect makes entries of a pool's nodes and of what lies between them. Of the
// pool, as many bytes are in memory as there says.
func (x *index) collect(ctx context.Context, p *Pool, there uint64) (err error) {
	c := collector{index: x, pool: p.Span, from: len(x.at), end: p.Span.Start}
	nodes := 0
	p.Walk(func(n *heap.Node) bool {
		nodes++
		if nodes&0xfff == 0 && ctx.Err() != nil {
			err = context.Cause(ctx)
		}
		if err == nil && len(x.at) > maxEntries-8 {
			err = fmt.Errorf("reach: more than %d nodes", maxEntries)
		}
		if nodes == sample {
			c.reserve(there)
		}
		if err == nil {
			c.node(n)
		}
		return err == nil
	})
	if err != nil {
		return err
	}
	switch {
	case len(x.at) == c.from:
		x.empty = append(x.empty, p.name())
		x.add(p.Span.Start, 0, Allocator)
	case p.Span.End-c.end > maxTail:
		x.gap(c.end, p.Span.End)
	case p.Span.End > c.end:
		x.add(c.end, 0, Allocator)
	}
	x.add(p.Span.End, 0, Outside)
	x.bucket(p.Span, c.from)
	return nil
}

func (p *Pool) name() string {
	if p.Name != "" {
		return p.Name
	}
	return p.Span.Start.String()
}

// reserve makes room for the rest of the nodes as those so far let expect,
// for arrays that grow leave others behind.
func (c *collector) reserve(there uint64) {
	const shortest = 32 // bytes, so that few strange nodes do not take much memory
	done := uint64(c.end - c.pool.Start)
	rest := (there - min(there, done)) / max(done/sample, shortest)
	n := int(min(rest+rest/8, maxEntries/2))
	c.at, c.head, c.state = slices.Grow(c.at, n), slices.Grow(c.head, n), slices.Grow(c.state, n)
}

func (c *collector) node(n *heap.Node) {
	switch started := len(c.at) > c.from; {
	case n.Addr < c.pool.Start || n.Addr >= c.pool.End:
		c.outside++
		return
	case started && n.Addr <= c.at[len(c.at)-1]:
		c.disorder++
		return
	case n.Addr > c.end && !started:
		c.add(c.pool.Start, 0, Allocator)
	case n.Addr > c.end:
		c.gap(c.end, n.Addr)
	case n.Addr < c.end && !c.open:
		c.overlaps++
	}
	room := uint64(c.pool.End - n.Addr)
	length := n.Total
	if c.open = length == 0; c.open {
		c.unknown++
		length = room
	} else if length > room {
		c.overlaps++
		length = room
	}
	head := uint64(n.Payload - n.Addr)
	if n.Payload < n.Addr || head > length {
		head = 0
	}
	var state State
	switch n.State {
	case heap.Used:
		state = unseen
	case heap.Free:
		state = Free
	default:
		state, head = Quarantined, 0 // nobody knows where its payload begins
	}
	c.add(n.Addr, uint32(min(head, math.MaxUint32)), state)
	c.end = n.Addr + heap.Addr(length)
}

// gap makes an entry of what lies between nodes.
func (x *index) gap(from, to heap.Addr) {
	x.add(from, 0, Quarantined)
}

// bucket makes the table of a region whose entries, but the one behind it, are
// there from number from on.
func (x *index) bucket(s heap.Span, from int) {
	r := region{Span: s, shift: bucketShift, from: uint32(from)}
	last := len(x.at) - 2
	for s.Len()>>r.shift > 2*uint64(last-from)+64 {
		r.shift++
	}
	r.first = make([]uint32, (s.Len()-1)>>r.shift+2)
	k := from
	for b := range r.first[:len(r.first)-1] {
		start := s.Start + heap.Addr(b)<<r.shift
		for x.at[k+1] <= start {
			k++
		}
		r.first[b] = uint32(k)
	}
	r.first[len(r.first)-1] = uint32(last)
	x.regions = append(x.regions, r)
}

// sift fills near.
func (x *index) sift() {
	const most = 1 << 15 // bits: the table stays in the fastest cache
	for size := uint64(x.hi - x.lo); size>>x.nearShift >= most; {
		x.nearShift++
	}
	x.near = make([]uint64, most/64)
	for i := range x.regions {
		r := &x.regions[i]
		for p := uint64(r.Start-x.lo) >> x.nearShift; p <= uint64(r.End-1-x.lo)>>x.nearShift; p++ {
			x.near[p/64] |= 1 << (p % 64)
		}
	}
}

// region returns the pool that addr lies in, nil if there is none.
func (x *index) region(addr heap.Addr) *region {
	i, _ := slices.BinarySearchFunc(x.regions, addr, func(r region, a heap.Addr) int {
		if r.End <= a {
			return -1
		}
		return 1
	})
	if i < len(x.regions) && x.regions[i].Start <= addr {
		return &x.regions[i]
	}
	return nil
}

// find returns the entry that addr lies in, if it lies in a pool.
func (x *index) find(addr heap.Addr) (k uint32, ok bool) {
	if r := x.region(addr); r != nil {
		return x.within(r, addr), true
	}
	return 0, false
}

// within returns the entry that an address in r lies in.
func (x *index) within(r *region, addr heap.Addr) uint32 {
	b := uint64(addr-r.Start) >> r.shift
	lo, hi := r.first[b], r.first[b+1]
	for hi-lo > maxHops { // the entry is one of [lo, hi]
		if mid := lo + (hi-lo+1)/2; x.at[mid] <= addr {
			lo = mid
		} else {
			hi = mid - 1
		}
	}
	for x.at[lo+1] <= addr {
		lo++
	}
	return lo
}
