package main

import (
	"fmt"

	"github.com/spf13/cobra"

	"github.com/heapwright/heapwright/heap"
	"github.com/heapwright/heapwright/leak"
	"github.com/heapwright/heapwright/report"
)

// explainLog tells what the last listing of a log says about the addresses.
func (v *explainVerb) explainLog(cmd *cobra.Command, log string) ([]report.Explanation, error) {
	var last leak.Listing
	for l, err := range v.in.listings(cmd, log) {
		if err != nil {
			return nil, err
		}
		last = l
	}
	if v.in.reports > 0 {
		v.in.sayReports(cmd, &v.out)
	}
	v.in.notes = append(v.in.notes, "a listing shows where used nodes begin, and who allocated them; headers, contents and pointers are in a dump of the RAM")
	all := make([]report.Explanation, len(v.addresses))
	for i, addr := range v.addresses {
		all[i] = explainListed(last, addr)
	}
	return all, nil
}

// explainListed tells what a listing says about an address.
func explainListed(l leak.Listing, addr heap.Addr) report.Explanation {
	e := report.Explanation{Addr: addr, Where: "below all nodes that the listing shows"}
	for _, s := range l {
		before, node, behind := around(s.Nodes, addr)
		if node == nil {
			if e.Node == nil && behind != nil && (e.Behind == nil || behind.Addr < e.Behind.Addr) {
				e.Behind, e.Around = behind, s
			}
			continue
		}
		if e.Node != nil && e.Node.Addr > node.Addr {
			continue
		}
		e.Pool, e.Around, e.Node, e.Before, e.Behind = s.Pool, s, node, before, behind
		e.Nearest = false
		offset := uint64(addr - node.Addr)
		switch {
		case offset == 0:
			e.Where = "where a used node begins"
		case node.Total != 0 && offset < node.Total:
			e.Where = fmt.Sprintf("%d bytes into the used node %s", offset, node.Addr)
		case node.Total != 0:
			e.Where = fmt.Sprintf("%d bytes behind the end of the used node %s: in no used node of the listing", offset-node.Total, node.Addr)
			e.Nearest = true
		default:
			e.Where = fmt.Sprintf("%d bytes behind the start of the used node %s; the listing does not tell whether that is so long", offset, node.Addr)
			e.Nearest = true
		}
	}
	return e
}

// around returns the last node of a listing that begins at or below an address,
// and its neighbours. They are copies.
func around(nodes []heap.Node, addr heap.Addr) (before, node, behind *heap.Node) {
	copied := func(n *heap.Node) *heap.Node { c := *n; return &c }
	for i := range nodes {
		n := &nodes[i]
		if n.State != heap.Used || n.Addr == 0 {
			continue
		}
		if n.Addr > addr {
			return before, node, copied(n)
		}
		before, node = node, copied(n)
	}
	return before, node, nil
}
