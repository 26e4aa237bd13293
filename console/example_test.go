package console_test

import (
	"fmt"
	"log"
	"strings"

	"github.com/heapwright/heapwright/console"
)

// What a device printed, with all that stands between its listings.
func ExampleNewReader() {
	const capture = `Huawei LiteOS # memused
node            LR[0]       LR[1]
0x00056bac:  0x00011ea0  0x00021744
0x00058b44:  0x00015e60  0x00011fc8

Huawei LiteOS # help
*******************shell commands:*************************
Huawei LiteOS # memused
node            LR[0]       LR[1]
0x00056bac:  0x00011ea0  0x00021744
0x0005`
	for s, err := range console.NewReader(strings.NewReader(capture), "capture.log").Snapshots() {
		if err != nil {
			log.Fatal(err)
		}
		fmt.Printf("%s (%s): %d nodes", s.Label, s.Source, len(s.Nodes))
		if s.Partial != "" {
			fmt.Print(", partial")
		}
		fmt.Println()
	}
	// Output:
	// listing 1 (capture.log:2): 2 nodes
	// listing 2 (capture.log:9): 1 nodes, partial
}
