// The tree of peers.mjs in Go: go run bench/depth/levels.go 1000
package main

import (
	"context"
	"fmt"
	"os"
	"runtime"
	"strconv"
	"sync"
	"time"
)

func main() {
	depth, _ := strconv.Atoi(os.Args[1])
	start := time.Now()
	root, cancel := context.WithCancel(context.Background())
	var there, done sync.WaitGroup
	there.Add(depth)
	done.Add(depth)
	var level func(ctx context.Context, rest int)
	level = func(ctx context.Context, rest int) {
		defer done.Done()
		own, stop := context.WithCancel(ctx)
		defer stop()
		if rest > 1 {
			go level(own, rest-1)
		}
		there.Done()
		<-own.Done()
	}
	go level(root, depth)
	there.Wait()
	built := time.Now()
	cancel()
	done.Wait()
	fmt.Printf("%s %d: built in %d ms, cancelled and joined in %d ms\n", runtime.Version(), depth,
		built.Sub(start).Milliseconds(), time.Since(built).Milliseconds())
}
