package report

import (
	"encoding/json"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/heapwright/heapwright/heap"
	pools "github.com/heapwright/heapwright/image/layout"
	"github.com/heapwright/heapwright/symbol"
)

// explanation is of a damaged node with a long payload.
func explanation() Explanation {
	memory := make([]byte, 1000)
	copy(memory, "AAAAAAAAAAAAAAAA")
	memory[40], memory[41], memory[42], memory[43] = 0x44, 0x33, 0x02, 0x20
	span := func(from, to heap.Addr) heap.Span { return heap.Span{Start: 0x20001000 + from, End: 0x20001000 + to} }
	return Explanation{
		Addr: 0x20001200, Where: "496 bytes into the payload of the used node 0x20001000", Pool: "exc",
		Node:   &heap.Node{Addr: 0x20001000, Payload: 0x20001010, Total: 1200, Size: 1180, Owner: 7, Birth: 400, Stack: heap.Stack{0x1010, 0x1110}},
		Before: &heap.Node{Addr: 0x20000f00, Total: 256, State: heap.Free, Stack: heap.Stack{0x1210}},
		Fields: []pools.Field{
			{Span: span(0, 4), Name: "backup: magic", Value: "0x41414141"},
			{Span: span(8, 12), Name: "magic", Value: "0x41414141", Wrong: "it should be the complement of its own address, which is 0xdfffeff7"},
			{Span: span(12, 16), Name: "size and flags", Value: "0x41414141"},
		},
		Findings: []heap.Finding{{Kind: heap.HeaderDamaged, Node: 0x20001000, Span: span(0, 8), Detail: "the detail"}},
		Damaged:  true,
		Memory:   heap.Memory{Addr: 0x20001000, Bytes: memory}, More: 200,
		Words: []Word{{Addr: 0x20001028, Value: 0x20023344, Text: "used node 0x20023300 of net_rx <- main, payload+4"}},
		Standing: &Standing{
			State: "reachable", Path: []string{".bss 0x20000010", "node 0x20000a00+0 of queue_push"}, More: true,
			Pointers: []Word{{Addr: 0x20000a10, Value: 0x20001010, Text: "node 0x20000a00+0 of queue_push"}, {Text: "register 3 of thread 1"}},
		},
		Around: &heap.Snapshot{Tick: 1400, TickHz: 100, Owners: map[heap.Owner]string{7: "net"}},
	}
}

func TestExplain(t *testing.T) {
	all := []Explanation{explanation(), {Addr: 0x10, Where: "in no pool", Memory: heap.Memory{Addr: 0, Bytes: []byte("0123456789abcdefghij")}}}
	for name, o := range map[string]Options{
		"explain":         {Width: 80},
		"explain-narrow":  {Width: 50, ASCII: true},
		"explain-verbose": {Verbose: true, Color: true},
	} {
		var b strings.Builder
		if err := ExplainText(&b, all, symbol.None, []string{"a note"}, o); err != nil {
			t.Fatal(err)
		}
		golden(t, name+".txt", b.String())
		for line := range strings.Lines(b.String()) {
			if n := utf8.RuneCountInString(strings.TrimRight(line, "\n")); o.Width >= 80 && n > o.Width {
				t.Errorf("%s: %d columns: %s", name, n, line)
			}
		}
	}
	var b strings.Builder
	if err := ExplainJSON(&b, all, symbol.None, nil, Options{}); err != nil {
		t.Fatal(err)
	}
	var doc struct {
		Addresses []struct {
			Addr   heap.Addr
			Fields []struct{ Wrong string }
		}
	}
	if err := json.Unmarshal([]byte(b.String()), &doc); err != nil || len(doc.Addresses) != 2 || doc.Addresses[0].Fields[0].Wrong != "overwritten" {
		t.Errorf("%v: %+v", err, doc)
	}
}
