package reach

import (
	"encoding/binary"
	"slices"
	"testing"

	"pgregory.net/rapid"

	"github.com/heapwright/heapwright/heap"
)

// scene is a random memory with pools.
type scene struct {
	mem   pieces
	pools []heap.Span
	nodes []heap.Node // of all pools, ascending
	roots []Root
	o     Options
}

// drawScene draws memory of less than 1 KiB, with up to two pools in it and
// holes. Nodes have any length and alignment; most words point to some node.
func drawScene(t *rapid.T) *scene {
	s := &scene{o: Options{PointerSize: rapid.SampledFrom([]int{4, 8}).Draw(t, "pointer size"), Unaligned: rapid.Bool().Draw(t, "unaligned")}}
	if rapid.Bool().Draw(t, "big endian") {
		s.o.Order = binary.BigEndian
	}
	base := heap.Addr(0x1000)
	if s.o.PointerSize == 8 && rapid.Bool().Draw(t, "high") {
		base = 0xffff_8000_0000_1000
	}
	at := base + 64
	for range rapid.IntRange(1, 2).Draw(t, "pools") {
		at = s.drawPool(t, at+heap.Addr(rapid.IntRange(0, 40).Draw(t, "in front")))
	}
	end := at + 64
	data := rapid.SliceOfN(rapid.Byte(), int(end-base), int(end-base)).Draw(t, "data")
	for range rapid.IntRange(0, 100).Draw(t, "pointers") {
		to := &s.nodes[rapid.IntRange(0, len(s.nodes)-1).Draw(t, "to")]
		value := uint64(to.Addr) + uint64(rapid.IntRange(-1, int(to.Total)+1).Draw(t, "into"))
		b := data[rapid.IntRange(0, len(data)-8).Draw(t, "at"):]
		if !s.o.Unaligned {
			off := (len(data) - len(b)) &^ (s.o.PointerSize - 1)
			b = data[off:]
		}
		switch big := s.o.Order != nil; {
		case s.o.PointerSize == 4 && big:
			binary.BigEndian.PutUint32(b, uint32(value))
		case s.o.PointerSize == 4:
			binary.LittleEndian.PutUint32(b, uint32(value))
		case big:
			binary.BigEndian.PutUint64(b, value)
		default:
			binary.LittleEndian.PutUint64(b, value)
		}
	}
	s.cut(t, base, data)
	from := base
	for range rapid.IntRange(0, 3).Draw(t, "roots") {
		to := from + heap.Addr(rapid.IntRange(0, int(end-from)).Draw(t, "root"))
		s.roots = append(s.roots, Root{Name: "range", Span: heap.Span{Start: from, End: to}})
		from = to
	}
	to := &s.nodes[rapid.IntRange(0, len(s.nodes)-1).Draw(t, "register")]
	s.roots = append(s.roots, Root{Name: "register", Value: to.Addr}, Root{Name: "first", Span: heap.Span{Start: base, End: base + 64}})
	return s
}

func (s *scene) drawPool(t *rapid.T, at heap.Addr) (end heap.Addr) {
	start := at
	at += heap.Addr(rapid.IntRange(0, 24).Draw(t, "pool's head"))
	for range rapid.IntRange(1, 12).Draw(t, "nodes") {
		n := heap.Node{Addr: at, Total: uint64(rapid.IntRange(1, 48).Draw(t, "total"))}
		n.Payload = at + heap.Addr(rapid.IntRange(0, int(n.Total)).Draw(t, "head"))
		n.State = rapid.SampledFrom([]heap.State{heap.Used, heap.Used, heap.Used, heap.Used, heap.Free, heap.Quarantined}).Draw(t, "state")
		s.nodes = append(s.nodes, n)
		at += heap.Addr(n.Total)
		if rapid.IntRange(0, 9).Draw(t, "gap") == 0 {
			at += 8
		}
	}
	at += heap.Addr(rapid.IntRange(0, 24).Draw(t, "pool's end"))
	s.pools = append(s.pools, heap.Span{Start: start, End: at})
	return at
}

// cut makes pieces of the memory, some with a hole between them.
func (s *scene) cut(t *rapid.T, base heap.Addr, data []byte) {
	for range rapid.IntRange(0, 3).Draw(t, "cuts") {
		n := rapid.IntRange(0, len(data)).Draw(t, "cut")
		s.mem = append(s.mem, heap.Memory{Addr: base, Bytes: data[:n:n]})
		n = min(len(data), n+rapid.SampledFrom([]int{0, 0, 1, 4, 16}).Draw(t, "hole"))
		data, base = data[n:], base+heap.Addr(n)
	}
	s.mem = append(s.mem, heap.Memory{Addr: base, Bytes: data})
}

// View sees across borders without a hole.
func (s *scene) View(addr heap.Addr, n uint64) (b []byte) {
	for i := range n {
		c := s.mem.View(addr+heap.Addr(i), 1)
		if len(c) == 0 {
			return nil
		}
		b = append(b, c[0])
	}
	return b
}

func (s *scene) Spans() []heap.Memory { return s.mem }

func (s *scene) walks() (pools []Pool) {
	for _, p := range s.pools {
		pools = append(pools, Pool{Span: p, Walk: func(visit func(*heap.Node) bool) {
			for _, n := range s.nodes {
				if n.Addr >= p.Start && n.Addr < p.End && !visit(&n) {
					return
				}
			}
		}})
	}
	return pools
}

// model does everything the slow way.
type model struct {
	*scene
	live  []Pointer // words that count, and values of roots: Root or Holder, Word, Value
	dead  []Pointer
	state []State
	depth []int // pointers from a root
}

func (m *model) node(a heap.Addr) int {
	return slices.IndexFunc(m.nodes, func(n heap.Node) bool { return a >= n.Addr && uint64(a-n.Addr) < n.Total })
}

// words sorts every word of the memory.
func (m *model) words() {
	for _, r := range m.roots {
		if r.Span.Len() == 0 {
			m.live = append(m.live, Pointer{Root: r.Name, Value: r.Value})
		}
	}
	w := newWords(m.o)
	for _, s := range m.mem {
		for i := range s.Bytes {
			at := s.Addr + heap.Addr(i)
			b := m.View(at, uint64(w.size))
			if b == nil || uint64(at)%uint64(w.stride) != 0 {
				continue
			}
			p := Pointer{Word: at, Value: heap.Addr(w.word(b))}
			if live := m.holder(&p, at+heap.Addr(w.size)); live {
				m.live = append(m.live, p)
			} else {
				m.dead = append(m.dead, p)
			}
		}
	}
}

// holder says what a word lies in, and whether it lies in that as a whole.
func (m *model) holder(p *Pointer, end heap.Addr) (live bool) {
	for _, pool := range m.pools {
		if p.Word < pool.Start || p.Word >= pool.End {
			continue
		}
		k := m.node(p.Word)
		if k < 0 {
			return m.gap(p, pool, end)
		}
		n := &m.nodes[k]
		p.Holder = n.Addr
		if end > n.Addr+heap.Addr(n.Total) {
			return false
		}
		return n.State == heap.Quarantined || n.State == heap.Used && p.Word >= n.Payload
	}
	for _, r := range m.roots {
		if p.Word >= r.Span.Start && end <= r.Span.End && !slices.ContainsFunc(m.pools, func(s heap.Span) bool { return end > s.Start && p.Word < s.End }) {
			p.Root = r.Name
			return true
		}
	}
	return false
}

// gap: what lies between two nodes of a pool counts like a root.
func (m *model) gap(p *Pointer, pool heap.Span, end heap.Addr) bool {
	var before, behind heap.Addr
	for _, n := range m.nodes {
		if n.Addr < pool.Start || n.Addr >= pool.End {
			continue
		}
		if n.Addr <= p.Word {
			before = n.Addr + heap.Addr(n.Total)
		} else if behind == 0 {
			behind = n.Addr
		}
	}
	p.Holder = before
	if before == 0 {
		p.Holder = pool.Start
	}
	return before != 0 && end <= behind
}

// flood finds the states.
func (m *model) flood() {
	m.state, m.depth = make([]State, len(m.nodes)), make([]int, len(m.nodes))
	for i, n := range m.nodes {
		m.state[i] = map[heap.State]State{heap.Used: unseen, heap.Free: Free, heap.Quarantined: Quarantined}[n.State]
	}
	for depth, more := 1, true; more; depth++ {
		more = false
		for _, p := range m.live {
			k, from := m.node(p.Value), m.node(p.Holder)
			if k < 0 || m.state[k] != unseen {
				continue
			}
			root := p.Holder == 0 || from < 0 || m.state[from] == Quarantined
			if root || m.state[from] == Reachable && m.depth[from] < depth {
				m.state[k], m.depth[k] = Reachable, depth
				more = true
			}
		}
	}
}

// heads gives the lost nodes their states, and returns which lead to which.
func (m *model) heads() (leads [][]bool) {
	n := len(m.nodes)
	leads = make([][]bool, n)
	for i := range leads {
		leads[i] = make([]bool, n)
		leads[i][i] = true
	}
	for _, p := range m.live {
		if from, to := m.node(p.Holder), m.node(p.Value); p.Holder != 0 && from >= 0 && to >= 0 && m.state[from] == unseen && m.state[to] == unseen {
			leads[from][to] = true
		}
	}
	for k := range n { // Warshall
		for i := range n {
			for j := range n {
				leads[i][j] = leads[i][j] || leads[i][k] && leads[k][j]
			}
		}
	}
	states := slices.Clone(m.state)
	for i := range n {
		if m.state[i] != unseen {
			continue
		}
		states[i] = Unreferenced
		for j := range n {
			if leads[j][i] && (!leads[i][j] || j < i) {
				states[i] = Indirect // behind another, or in a circle whose head is another
			}
		}
	}
	m.state = states
	return leads
}

func TestAgainstModel(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		m := &model{scene: drawScene(t)}
		m.words()
		m.flood()
		leads := m.heads()
		r, err := Analyse(t.Context(), m, m.walks(), m.roots, m.o)
		if err != nil {
			if slices.ContainsFunc(m.live, func(p Pointer) bool {
				k := m.node(p.Value)
				return p.Root != "" && k >= 0 && m.state[k] == Reachable
			}) && r.hasRoots(m) {
				t.Fatal(err)
			}
			return
		}
		var used, reachable, lost, indirect Count
		for i, n := range m.nodes {
			for _, a := range []heap.Addr{n.Addr, n.Payload - heap.Addr(btou(n.Payload == n.Addr+heap.Addr(n.Total))), n.Addr + heap.Addr(n.Total) - 1} {
				if got := r.State(a); got != m.state[i] {
					t.Fatalf("node %d, %s: %s, want %s", i, a, got, m.state[i])
				}
			}
			if n.State == heap.Used {
				used.add(n.Total)
			}
			switch m.state[i] {
			case Reachable:
				reachable.add(n.Total)
			case Unreferenced:
				lost.add(n.Total)
			case Indirect:
				indirect.add(n.Total)
				h, _ := r.Head(n.Payload - heap.Addr(btou(n.Payload == n.Addr+heap.Addr(n.Total))))
				if k := m.node(h.Addr); k < 0 || !leads[k][i] || m.state[k] != Unreferenced {
					t.Fatalf("node %d is lost through %+v", i, h)
				}
			}
			m.checkPath(t, r, i)
			m.checkPointers(t, r, i)
		}
		if r.Used != used || r.Reachable != reachable || r.Unreferenced != lost || r.Indirect != indirect {
			t.Fatalf("totals %+v, want %v %v %v %v", r, used, reachable, lost, indirect)
		}
		var through, heads Count
		for h := range r.Heads {
			heads.add(h.Bytes)
			through.Nodes += h.Indirect.Nodes
			through.Bytes += h.Indirect.Bytes
		}
		if heads != lost || through != indirect {
			t.Fatalf("heads add up to %v and %v, want %v and %v", heads, through, lost, indirect)
		}
	})
}

func btou(b bool) uint64 {
	if b {
		return 1
	}
	return 0
}

// hasRoots reports whether any root has memory.
func (*Result) hasRoots(m *model) bool {
	return slices.ContainsFunc(m.mem, func(s heap.Memory) bool {
		for i := range s.Bytes {
			a := s.Addr + heap.Addr(i)
			if slices.ContainsFunc(m.roots, func(r Root) bool { return a >= r.Span.Start && a < r.Span.End }) &&
				!slices.ContainsFunc(m.pools, func(p heap.Span) bool { return a >= p.Start && a < p.End }) {
				return true
			}
		}
		return false
	})
}

// checkPath follows a path by hand.
func (m *model) checkPath(t *rapid.T, r *Result, i int) {
	path := r.Path(m.nodes[i].Addr)
	if len(path) != m.depth[i] {
		t.Fatalf("node %d: a path of %d pointers, want %d: %+v", i, len(path), m.depth[i], path)
	}
	for s, p := range path {
		found := slices.ContainsFunc(m.live, func(q Pointer) bool {
			return q.Word == p.Word && q.Value == p.Value && q.Holder == p.Holder && (q.Root == p.Root || p.Word != 0)
		})
		if !found || !p.Live() {
			t.Fatalf("node %d: step %d, %+v, is none", i, s, p)
		}
		if s > 0 && p.Holder != path[s-1].Node || s == 0 && p.Root == "" && p.HolderState != Quarantined {
			t.Fatalf("node %d: step %d, %+v, does not follow", i, s, p)
		}
		if k := m.node(p.Value); k < 0 || m.nodes[k].Addr != p.Node || p.Into != int64(p.Value-m.nodes[k].Payload) && m.nodes[k].State != heap.Quarantined {
			t.Fatalf("node %d: step %d points elsewhere: %+v", i, s, p)
		}
	}
	if len(path) > 0 && path[len(path)-1].Node != m.nodes[i].Addr {
		t.Fatalf("node %d: the path ends elsewhere: %+v", i, path)
	}
}

// checkPointers compares all words that point to a node.
func (m *model) checkPointers(t *rapid.T, r *Result, i int) {
	got, more, err := r.PointersTo(t.Context(), m.nodes[i].Addr, 1<<20)
	if more || err != nil {
		t.Fatal(more, err)
	}
	var words, want []heap.Addr
	for _, p := range got {
		words = append(words, p.Word)
		if n := m.node(p.Value); n != i {
			t.Fatalf("%+v does not point to node %d", p, i)
		}
	}
	for _, p := range append(m.live, m.dead...) {
		if m.node(p.Value) == i {
			want = append(want, p.Word)
		}
	}
	slices.Sort(want)
	if !slices.Equal(words, want) {
		t.Fatalf("words %v point to node %d, want %v", words, i, want)
	}
}
