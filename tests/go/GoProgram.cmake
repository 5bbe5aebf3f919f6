# SPDX-License-Identifier: Apache-2.0
# Go programs for tests, the demo and benchmarks. No network is needed, and nothing is written outside the build folder.
#
# Sets MAPSHIFT_GO, the toolchain for programs that need just one (empty: there is none), and MAPSHIFT_GO_TOOLCHAINS, all of the
# machine, oldest first, one of each version: PATH's go and Debian's /usr/lib/go-*. MAPSHIFT_GO_VERSION_<path> is "1.22.12".

set(MAPSHIFT_GO_BIN ${CMAKE_BINARY_DIR}/go/bin)
set(go_environment
  GOTOOLCHAIN=local GOPROXY=off GOENV=off GO111MODULE=on GOWORK=off GOFLAGS=-mod=mod\ -buildvcs=false
  GOCACHE=${CMAKE_BINARY_DIR}/go/cache GOPATH=${CMAKE_BINARY_DIR}/go/path XDG_CONFIG_HOME=${CMAKE_BINARY_DIR}/go/config)

find_program(MAPSHIFT_GO_IN_PATH go)
file(GLOB candidates /usr/lib/go-*/bin/go)
if(MAPSHIFT_GO_IN_PATH)
  list(PREPEND candidates ${MAPSHIFT_GO_IN_PATH})
endif()
set(MAPSHIFT_GO)
set(MAPSHIFT_GO_TOOLCHAINS)
set(versions)
foreach(go ${candidates})
  execute_process(COMMAND ${CMAKE_COMMAND} -E env ${go_environment} ${go} version OUTPUT_VARIABLE said ERROR_QUIET RESULT_VARIABLE status)
  if(status EQUAL 0 AND said MATCHES "go version go([0-9]+\\.[0-9]+[^ ]*)")
    set(version ${CMAKE_MATCH_1})
    if(NOT version IN_LIST versions)
      set(MAPSHIFT_GO_VERSION_${go} ${version})
      set(MAPSHIFT_GO_OF_${version} ${go})
      list(APPEND versions ${version})
    endif()
  endif()
endforeach()
list(SORT versions COMPARE NATURAL)
foreach(version ${versions})
  list(APPEND MAPSHIFT_GO_TOOLCHAINS ${MAPSHIFT_GO_OF_${version}})
endforeach()
if(MAPSHIFT_GO_IN_PATH AND MAPSHIFT_GO_VERSION_${MAPSHIFT_GO_IN_PATH})
  set(MAPSHIFT_GO ${MAPSHIFT_GO_IN_PATH})
elseif(MAPSHIFT_GO_TOOLCHAINS)
  list(GET MAPSHIFT_GO_TOOLCHAINS -1 MAPSHIFT_GO)  # the newest
endif()
list(JOIN versions ", " readable)
message(STATUS "Go toolchains: ${readable}")

# go_program(NAME <target> DIR <folder with go.mod> [GO <toolchain>] [CGO] [PIE] [STRIPPED] [ON_DEMAND])
# The binary is ${MAPSHIFT_GO_BIN}/<target>. ON_DEMAND: not part of `all`. Without any toolchain there is no target.
function(go_program)
  cmake_parse_arguments(ARG "CGO;PIE;STRIPPED;ON_DEMAND" "NAME;DIR;GO" "" ${ARGN})
  if(NOT ARG_GO)
    set(ARG_GO ${MAPSHIFT_GO})
  endif()
  if(NOT ARG_GO)
    return()
  endif()
  set(flags -trimpath)
  set(cgo 0)
  if(ARG_CGO)
    set(cgo 1)
  endif()
  if(ARG_PIE)
    list(APPEND flags -buildmode=pie)
  endif()
  if(ARG_STRIPPED)
    list(APPEND flags "-ldflags=-s -w")
  endif()
  set(all ALL)
  if(ARG_ON_DEMAND)
    set(all)
  endif()
  file(GLOB sources CONFIGURE_DEPENDS ${ARG_DIR}/*.go ${ARG_DIR}/*.c ${ARG_DIR}/go.mod)
  set(output ${MAPSHIFT_GO_BIN}/${ARG_NAME})
  add_custom_command(OUTPUT ${output}
    COMMAND ${CMAKE_COMMAND} -E env ${go_environment} CGO_ENABLED=${cgo} CC=${CMAKE_C_COMPILER} ${ARG_GO} build ${flags} -o ${output} .
    DEPENDS ${sources} ${ARG_GO} WORKING_DIRECTORY ${ARG_DIR} VERBATIM)
  add_custom_target(${ARG_NAME} ${all} DEPENDS ${output})
endfunction()
