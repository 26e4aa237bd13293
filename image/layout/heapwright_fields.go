package layout

import (
	"cmp"
	"fmt"
	"slices"

	"github.com/heapwright/heapwright/heap"
	"github.com/heapwright/heapwright/internal/node"
	"github.com/heapwright/heapwright/internal/survey"
)

// Fields implements Pool.
func (p *heapwrightPool) Fields(n *heap.Node) []Field {
	r, l := &p.region, &p.lay
	off := uint64(n.Addr - p.about.Span.Start)
	if n.Addr < p.about.Span.Start || off%node.Unit != 0 || off/node.Unit >= uint64(r.Limit) || !r.There(uint32(off/node.Unit)) {
		return nil
	}
	ref := uint32(off / node.Unit)
	var list []Field
	if next := uint64(ref) + n.Total/node.Unit; l.Slot != 0 && ref != r.End && next <= uint64(r.End) {
		list = p.part(list, n.Addr, ref, uint32(next), "backup of the next header: ")
	} else if l.Slot != 0 && ref == r.End {
		list = p.part(list, n.Addr, ref, survey.Front, "backup of the first header: ")
	}
	own := n.Addr + heap.Addr(l.Slot)
	at := len(list)
	list = p.part(list, own, ref, ref, "")
	if size := node.Read(r.Ctrl(ref)).Size(); n.Total != 0 && uint64(size)*node.Unit != n.Total {
		list[at].Wrong = fmt.Sprintf("the node is taken to be %d bytes long", n.Total)
	}
	payload := off + uint64(l.Head)
	if b := r.Bytes(payload, payload+4); node.Read(r.Ctrl(ref)).State() == node.Free && len(b) == 4 {
		at := own + heap.Addr(l.Ctrl)
		list = append(list, Field{Span: heap.Span{Start: at, End: at + 4}, Name: "entry of the free node", Value: fmt.Sprint(node.Note(b))})
	}
	return list
}

// part adds the fields of the header of the node at ref, or of the backup of
// one, which lies at the address `at`: in the node at holder.
func (p *heapwrightPool) part(list []Field, at heap.Addr, holder, ref uint32, prefix string) []Field {
	r := &p.region
	c := r.Ctrl(holder)
	if prefix != "" {
		c = r.Slot(holder)
	}
	from := len(list)
	_, good := p.lay.Check(c, ref)
	for _, v := range r.Values(c, ref) {
		f := Field{
			Span: heap.Span{Start: at + heap.Addr(v.Off), End: at + heap.Addr(v.Off+v.Size)},
			Name: prefix + v.Name, Value: v.Text,
		}
		if v.Name == "checksum" && !good && !r.Blind {
			f.Wrong = "what it covers gives another: the one in brackets"
		}
		list = append(list, f)
	}
	slices.SortStableFunc(list[from:], func(a, b Field) int { return cmp.Compare(a.Start, b.Start) })
	return list
}
