package leak_test

import (
	"fmt"
	"log"
	"strings"
	"time"

	"github.com/heapwright/heapwright/heap"
	"github.com/heapwright/heapwright/leak"
)

// Two leaks are known, so only the third makes the gate fail: one is in the
// baseline, the other is accepted as long as it stays small.
func ExampleGrowth_Gate() {
	leaks := func(leaked int, functions ...string) leak.Site {
		s := leak.Site{Verdict: leak.Confirmed, LeakedNodes: leaked}
		for _, f := range functions {
			s.Frames = append(s.Frames, heap.Frame{Function: f})
		}
		return s
	}
	growth := &leak.Growth{
		Pools: []leak.Window{{First: 1, Last: 9, Complete: 9, Shown: 9}},
		Sites: []leak.Site{leaks(83, "pkt_alloc", "net_rx"), leaks(41, "malloc", "log_dup"), leaks(7, "modem_open")},
	}

	baseline, err := leak.ReadBaseline(strings.NewReader(`{"heapwright_baseline":1,
"sites":[
{"pool":"","chain":["malloc","log_dup"]}
]}`), "known.json")
	if err != nil {
		log.Fatal(err)
	}
	accepted, err := leak.ReadSuppressions(strings.NewReader(`
leak:modem_*  max_nodes=40  # mended in 4.2
`), "leaks.supp")
	if err != nil {
		log.Fatal(err)
	}
	accepted.Apply(growth, time.Now())
	baseline.Apply(growth)

	outcome := growth.Gate(leak.Confirmed)
	for _, s := range outcome.Failing {
		fmt.Println("new:", s.Frames[0], "called by", s.Frames[1])
	}
	fmt.Println(outcome.Known, "known,", outcome.Suppressed, "suppressed by", growth.Sites[2].Suppressed)
	// Output:
	// new: pkt_alloc called by net_rx
	// 1 known, 1 suppressed by leaks.supp:2: leak:modem_* max_nodes=40
}
