package reach

import (
	"context"
	"slices"

	"github.com/heapwright/heapwright/heap"
)

const (
	// rootBit marks the number of a root where that of an entry is expected.
	rootBit = 1 << 31
	// group is how many nodes are fetched from memory at a time.
	group = 64
	// sparse is how many times fewer than all entries are quicker to sort than
	// to be found by going over all.
	sparse = 64
	// pace is how many bytes are scanned between calls of Options.Progress.
	pace = 16 << 20
)

// flood goes from node to node. What is found in a batch of words is looked up
// together.
type flood struct {
	*Result
	ctx      context.Context
	err      error // why it ended early
	progress func(done, total uint64)
	done     uint64 // bytes
	told     uint64 // what done was at the last call of progress
	total    uint64

	lo, size uint64 // what may be a pointer is in [lo, lo+size)
	win      heap.Memory

	// The batch: words, what they were found in, where they point.
	n    int
	vals [batch]uint64
	from [batch]uint32
	to   [batch]uint32

	queue []uint32 // entries, in the order in which they were reached
	next  int      // the first of them that has not been scanned

	// What to do with an entry that is pointed to: if it is in the state want,
	// it gets the state mark. Unless count, it is queued, fresh up to its turn,
	// and gets as its link what it was found in; or, with inherit, the link of
	// that.
	want, mark State
	count      bool
	inherit    bool

	touched byte
}

func newFlood(ctx context.Context, r *Result, o Options) *flood {
	f := &flood{Result: r, ctx: ctx, progress: o.Progress, lo: uint64(r.x.lo), size: uint64(r.x.hi - r.x.lo)}
	r.link = make([]uint32, len(r.x.at))
	return f
}

// run finds the state of all entries.
func (f *flood) run() error {
	f.measure()
	f.want, f.mark = unseen, Reachable
	f.scanRoots()
	switch {
	case f.err != nil:
		return f.err
	case f.RootBytes == 0:
		return nothingOutside
	case f.Used.Nodes > 0 && len(f.queue) == 0:
		return f.noPointers()
	}
	f.scanUnknown()
	f.drain()
	f.classify()
	if f.err == nil && f.progress != nil {
		f.progress(f.total, f.total)
	}
	f.queue = nil
	return f.err
}

// measure counts what is to be scanned.
func (f *flood) measure() {
	for k, s := range f.x.state {
		if s == unseen {
			f.Used.add(f.x.length(uint32(k)))
		}
	}
	f.total = f.Used.Bytes
	f.queue = make([]uint32, 0, f.Used.Nodes)
}

// scanRoots scans the roots without the pools.
func (f *flood) scanRoots() {
	pools := f.x.spans()
	spans := make([][]heap.Span, len(f.roots))
	for i := range f.roots {
		spans[i] = subtract(f.roots[i].Span, pools)
		for _, s := range spans[i] {
			f.RootBytes += f.mem.there(s)
		}
	}
	f.total += f.RootBytes
	for i := range f.roots {
		src := uint32(i) | rootBit
		if r := &f.roots[i]; r.Span.Len() == 0 {
			f.value(uint64(r.Value), src)
		}
		for _, s := range spans[i] {
			f.span(s, src)
		}
	}
	f.flush()
}

// scanUnknown scans what could not be interpreted.
func (f *flood) scanUnknown() {
	for k, s := range f.x.state {
		if s == Quarantined {
			f.node(uint32(k))
		}
	}
}

// value looks at one word.
func (f *flood) value(v uint64, src uint32) {
	if v-f.lo < f.size {
		f.vals[f.n], f.from[f.n] = v, src
		if f.n++; f.n >= chunk {
			f.flush()
		}
	}
}

// node scans the payload of a node.
func (f *flood) node(k uint32) {
	f.span(heap.Span{Start: f.x.payload(k), End: f.x.at[k+1]}, k)
}

// span scans what is there of a range.
func (f *flood) span(s heap.Span, src uint32) {
	if s.Start >= s.End {
		return
	}
	skip := heap.Addr(0)
	if f.mem.stride > 1 {
		skip = -s.Start & (f.mem.size - 1)
	}
	off, end := uint64(s.Start-f.win.Addr), uint64(s.End-f.win.Addr)
	if off >= uint64(len(f.win.Bytes)) || end > uint64(len(f.win.Bytes)) {
		f.elsewhere(s, src)
	} else if off += uint64(skip); off < end {
		f.bytes(f.win.Bytes[off:end], src)
	}
}

// elsewhere scans a range that is not in the window, and moves that there.
func (f *flood) elsewhere(s heap.Span, src uint32) {
	if i := f.mem.index(s.Start); i < len(f.mem.spans) {
		f.win = f.mem.spans[i]
	}
	f.mem.pieces(s, func(_ heap.Addr, b []byte) bool {
		f.bytes(b, src)
		return f.err == nil
	})
}

// bytes scans memory that begins with a word.
func (f *flood) bytes(b []byte, src uint32) {
	f.done += uint64(len(b))
	w := &f.words
	for len(b) >= w.size && f.err == nil {
		c := b[:min(len(b), chunk*w.stride+w.size-w.stride)]
		n := w.sieve(c, &f.vals, f.n, f.lo, f.size)
		for i := f.n; i < n; i++ {
			f.from[i&(batch-1)] = src
		}
		if f.n = n; n >= chunk {
			f.flush()
		}
		b = b[min(len(b), chunk*w.stride):]
	}
}

// drain scans what is queued, and what is found there, level by level: all that
// is reached by n pointers before what takes more.
func (f *flood) drain() {
	for f.flush(); f.next < len(f.queue) && f.err == nil; f.flush() {
		level := f.queue[f.next:]
		f.next = len(f.queue)
		f.settle(level)
		for len(level) > 0 && f.err == nil {
			g := level[:min(group, len(level))]
			level = level[len(g):]
			f.touch(g)
			for _, k := range g {
				f.node(k)
			}
		}
	}
}

// settle sorts the entries of a level, so that memory is read in ascending
// order, and gives them their state.
func (f *flood) settle(level []uint32) {
	state, mark := f.x.state, f.mark
	if len(level) < len(state)/sparse {
		slices.Sort(level)
		for _, k := range level {
			state[k] = mark
		}
		return
	}
	n := 0
	for k, s := range state {
		if s == fresh {
			state[k] = mark
			level[n] = uint32(k)
			n++
		}
	}
}

// touch reads a byte of each cache line in front of the nodes' payloads, so that
// all are on their way from memory at the same time.
func (f *flood) touch(g []uint32) {
	const line, most = 64, 4
	var sum byte
	win, at, head := f.win.Bytes, f.x.at, f.x.head
	for _, k := range g {
		off := uint64(at[k]-f.win.Addr) + uint64(head[k])
		end := min(uint64(at[k+1]-f.win.Addr), uint64(len(win)), off+most*line)
		for ; off < end; off += line {
			sum += win[off]
		}
	}
	f.touched = sum
}

// flush looks up the batch.
func (f *flood) flush() {
	n := f.n
	f.n = 0
	if f.err == nil && f.ctx.Err() != nil {
		f.err = context.Cause(f.ctx)
	}
	if f.progress != nil && f.done-f.told >= pace {
		f.told = f.done
		f.progress(f.done, max(f.done, f.total))
	}
	if f.err != nil {
		return
	}
	if len(f.x.regions) > 1 {
		n = f.nearby(n)
	}
	n = f.locate(n)
	f.lookup(n)
	f.take(n)
}

// nearby leaves out of the batch what is in no pool and not close to one: where
// pools lie far apart, much of what lies between them looks like pointers.
func (f *flood) nearby(n int) (kept int) {
	near, shift, lo := f.x.near, f.x.nearShift&63, uint64(f.x.lo)
	for i, v := range f.vals[:n] {
		page := (v - lo) >> shift
		f.vals[kept], f.from[kept] = v, f.from[i]
		kept += int(near[page/64] >> (page % 64) & 1)
	}
	return kept
}

// locate finds the entries that the buckets of the batch begin in, and leaves
// out what is in no pool.
func (f *flood) locate(n int) (kept int) {
	r := &f.x.regions[0]
	for i, v := range f.vals[:n] {
		if v-uint64(r.Start) >= r.Len() {
			other := f.x.region(heap.Addr(v))
			if other == nil {
				continue
			}
			r = other
		}
		f.vals[kept], f.from[kept] = v, f.from[i]
		f.to[kept] = r.first[(v-uint64(r.Start))>>(r.shift&63)]
		kept++
	}
	return kept
}

// lookup finds the entries of the batch, from those on that their buckets begin
// in.
func (f *flood) lookup(n int) {
	at := f.x.at
	vals, to := f.vals[:n], f.to[:n]
	for i, v := range vals {
		k := to[i]
		for end := k + maxHops; uint64(at[k+1]) <= v; k++ {
			if k == end {
				k, _ = f.x.find(heap.Addr(v))
				break
			}
		}
		to[i] = k
	}
}

// take goes over the entries that the batch points to.
func (f *flood) take(n int) {
	state, link := f.x.state, f.link
	for i, k := range f.to[:n] {
		src := f.from[i]
		if state[k] != f.want || k == src {
			continue
		}
		if f.count {
			state[k] = f.mark
			continue
		}
		state[k] = fresh
		if f.inherit {
			src = link[src]
		}
		link[k] = src
		f.queue = append(f.queue, k)
	}
}
