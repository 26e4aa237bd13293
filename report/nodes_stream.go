package report

import (
	"bufio"
	"fmt"
	"io"
	"iter"
	"strconv"

	"github.com/heapwright/heapwright/heap"
	pools "github.com/heapwright/heapwright/image/layout"
	"github.com/heapwright/heapwright/leak"
)

// PoolNodes are the used nodes of a pool that are not kept: each time Nodes is
// called it goes over all of them. A node and its stack are overwritten by the
// next one.
type PoolNodes struct {
	About *pools.About
	// Snapshot is what is known of the pool besides its nodes.
	Snapshot *heap.Snapshot
	Nodes    iter.Seq[*heap.Node]
	// Survey is what an earlier walk over the same nodes has given.
	Survey pools.Survey
}

// room returns the size that a node was asked for, or else how many bytes of it
// its user may write; 0: unknown.
func room(n *heap.Node) uint64 {
	if n.Size == 0 && n.Payload > n.Addr && uint64(n.Payload-n.Addr) < n.Total {
		return n.Total - uint64(n.Payload-n.Addr)
	}
	return n.Size
}

// Pool writes the nodes of a pool as they come, in constant memory.
func (n *NodesText) Pool(p *PoolNodes) error {
	n.write(p.Snapshot, p.Nodes)
	return n.t.Flush()
}

// PoolsJSON writes the used nodes of the pools of a dump as they come, in
// constant memory:
//
//	{
//	  "layout": "LiteOS 5.0 bestfit, ...",  of the first pool
//	  "pool": "0x578c0",                    where the first pool begins
//	  "nodes": [{                           one a line
//	    "addr": "0x56bac",                  start of the node, its backup included
//	    "payload": "0x56bf4",               what its user holds
//	    "size": 40,                         bytes asked for, or where the allocator does not
//	                                        record that, those that its user may write
//	    "total": 112,                       bytes with headers
//	    "owner": 3, "owner_name": "net",    no name: not known
//	    "birth": 9,                         tick; absent: not known
//	    "stack": [...],
//	    "pool": "heap2"                     of several pools
//	  }],
//	  "pools": [{...}],                     as CheckJSON has it
//	  "evidence": [...], "doubts": [...],
//	  "partial": "",                        why there may be more nodes
//	  "notes": []
//	}
func PoolsJSON(w io.Writer, all []PoolNodes, sym heap.Symbolizer, notes []string) error {
	d := &doc{w: bufio.NewWriterSize(w, 1<<16)}
	c := Checked{}
	for i := range all {
		c.Pools = append(c.Pools, CheckedPool{About: all[i].About, Survey: all[i].Survey, Source: all[i].Snapshot.Source, Name: all[i].Snapshot.Pool})
	}
	var first pools.About
	if len(all) > 0 {
		first = *all[0].About
	}
	d.raw("{\"layout\":")
	d.value(first.Layout)
	d.raw(",\n\"pool\":")
	d.value(first.Span.Start)
	d.raw(",\n\"nodes\":[")
	row := nodeRow{sym: sym, stacks: map[string][]byte{}}
	written := 0
	for i := range all {
		s := all[i].Snapshot
		row.pool(d, s)
		for node := range all[i].Nodes {
			d.separate(written)
			written++
			if _, err := d.w.Write(row.encode(d, s, node)); err != nil {
				return err // nobody reads on
			}
		}
	}
	d.raw("],\n\"pools\":[")
	for i := range c.Pools {
		d.separate(i)
		d.value(newJSONChecked(&c.Pools[i]))
	}
	d.raw("],\n\"evidence\":")
	d.value(orEmpty(first.Evidence))
	d.raw(",\n\"doubts\":")
	d.value(orEmpty(first.Doubts))
	d.raw(",\n\"partial\":")
	d.value(c.Partial())
	return d.end(notes)
}

// maxStacks bounds the call stacks whose text is kept.
const maxStacks = 1 << 14

// A nodeRow encodes nodes one by one. Millions of nodes have thousands of call
// stacks, which are encoded once.
type nodeRow struct {
	sym    heap.Symbolizer
	stacks map[string][]byte
	key    []byte
	b      []byte
	tail   []byte // of every node of a pool
}

// pool prepares for the nodes of a pool.
func (r *nodeRow) pool(d *doc, s *heap.Snapshot) {
	if r.tail = []byte("}"); s.Pool != "" {
		r.tail = fmt.Appendf(nil, `,"pool":%s}`, d.encode(s.Pool))
	}
}

func (r *nodeRow) encode(d *doc, s *heap.Snapshot, n *heap.Node) []byte {
	b := append(r.b[:0], `{"addr":"0x`...)
	b = strconv.AppendUint(b, uint64(n.Addr), 16)
	b = append(b, `","payload":"0x`...)
	b = strconv.AppendUint(b, uint64(n.Payload), 16)
	b = append(b, `","size":`...)
	b = strconv.AppendUint(b, room(n), 10)
	b = append(b, `,"total":`...)
	b = strconv.AppendUint(b, n.Total, 10)
	b = append(b, `,"owner":`...)
	b = strconv.AppendUint(b, uint64(n.Owner), 10)
	if name, ok := s.Owners[n.Owner]; ok {
		b = append(append(b, `,"owner_name":`...), d.encode(name)...)
	}
	if n.Birth != 0 {
		b = append(b, `,"birth":`...)
		b = strconv.AppendUint(b, n.Birth, 10)
	}
	b = append(b, `,"stack":`...)
	b = append(append(b, r.stack(d, n.Stack)...), r.tail...)
	r.b = b
	return b
}

func (r *nodeRow) stack(d *doc, s heap.Stack) []byte {
	r.key = r.key[:0]
	for _, a := range s {
		r.key = append(strconv.AppendUint(r.key, uint64(a), 36), ' ')
	}
	if b, ok := r.stacks[string(r.key)]; ok {
		return b
	}
	b := d.encode(jsonStack(leak.Resolve(r.sym, s)))
	if len(r.stacks) >= maxStacks {
		clear(r.stacks)
	}
	r.stacks[string(r.key)] = b
	return b
}
