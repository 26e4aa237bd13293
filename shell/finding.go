package shell

import (
	"io"

	"github.com/heapwright/heapwright/heap"
	"github.com/heapwright/heapwright/report"
)

// findingWidth is what the text of a finding fits into, long names aside, so
// that it can be quoted in a mail.
const findingWidth = 78

// WriteFinding writes all that is known about a finding, as
// report.FindingText does, in 78 columns and with the names of this program's
// functions and files made short. sym resolves the stacks. around, which may be
// nil, is a snapshot of the same pool: it knows the names of owners and how long
// ago something happened. The error is the writer's.
func WriteFinding(w io.Writer, f *heap.Finding, sym heap.Symbolizer, around *heap.Snapshot) error {
	return report.FindingText(w, f, short{sym}, around, report.Options{Width: findingWidth})
}
