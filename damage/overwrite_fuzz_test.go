package damage_test

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/heapwright/heapwright/damage"
	"github.com/heapwright/heapwright/heap"
)

// FuzzOverwrite explains heads of anything, one behind the other.
func FuzzOverwrite(f *testing.F) {
	f.Add([]byte("AAAAAAAAAAAAAAAA"), []byte("0123456789abcdef"), uint64(0x20000000), uint64(0xffff), uint8(0))
	f.Add([]byte("GET /index.html\x00"), []byte("\x00\x00\x00\x00\x00\x00\x00\x00"), uint64(0x20000400), uint64(0xff0f), uint8(3))
	f.Add([]byte("\x10\x00\x00\x20\x00\x00\x00\x00\x20\x00\x00\x20"), []byte("\xff\xff\xff\xdf"), uint64(1<<47), ^uint64(0), uint8(5))
	f.Add([]byte("T\x00e\x00x\x00t\x00s\x00"), []byte(""), ^uint64(8), ^uint64(0), uint8(12))
	f.Fuzz(func(t *testing.T, have, want []byte, at, known uint64, set uint8) {
		if len(have) > 1<<12 {
			return
		}
		var trail *damage.Trail
		for range 2 {
			o := &damage.Overwrite{
				At: heap.Addr(at), Have: have, Want: make([]byte, len(have)), Known: make([]bool, len(have)),
				Ahead: want, Behind: have, Trail: trail, BigEndian: set&1 != 0, Word: int(set>>1&3) * 4,
			}
			copy(o.Want, want)
			for i := range o.Known {
				o.Known[i] = known>>(i%64)&1 != 0
			}
			if set&8 == 0 {
				o.Previous = &heap.Node{Addr: o.At - 64, Payload: o.At - 48, Total: 64}
			}
			if set&16 == 0 {
				o.Subject = &heap.Node{Addr: o.At, Payload: o.At + heap.Addr(len(have)), Total: 64, State: heap.State(set >> 5 & 1)}
			}
			if set&64 != 0 {
				o.Where = func(a heap.Addr) string { return strings.Repeat("x", int(a%3)) }
			}
			finding := heap.Finding{Node: o.At}
			trail = o.Explain(&finding)
			if trail == nil != (finding.Cause == "") || finding.Culprit != nil && finding.CulpritReason == "" {
				t.Fatalf("%+v", finding)
			}
			if n := finding.Span.Len(); trail != nil && (n == 0 || n > uint64(len(have))) {
				t.Fatalf("span %+v of %d bytes", finding.Span, len(have))
			}
			if text, err := json.Marshal(finding); err != nil || len(text) > 8192 {
				t.Fatalf("%d bytes, %v", len(text), err)
			}
		}
	})
}
