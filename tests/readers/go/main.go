// SPDX-License-Identifier: Apache-2.0
// Tells what Go's net/http has read; see ../reader.h. main PORT
package main

import (
	"bytes"
	"fmt"
	"io"
	"log"
	"net/http"
	"os"
	"strconv"
)

func tell(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		panic(http.ErrAbortHandler)
	}
	var told bytes.Buffer
	for name, values := range r.Header {
		for _, value := range values {
			fmt.Fprintf(&told, "%s:%s\n", name, value)
		}
	}
	told.WriteByte('\n')
	told.Write(body)
	w.Header().Set("X-Read", r.Method+" "+r.RequestURI+" "+r.Host)
	w.Header().Set("Content-Length", strconv.Itoa(told.Len()))
	w.Write(told.Bytes())
}

func main() {
	server := &http.Server{Addr: "127.0.0.1:" + os.Args[1], Handler: http.HandlerFunc(tell), ErrorLog: log.New(io.Discard, "", 0)}
	log.Fatal(server.ListenAndServe())
}
