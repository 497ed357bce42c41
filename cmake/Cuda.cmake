# .cu files in their three worlds: on a GPU, on the CPU as fast as it can, on the CPU with every access watched.
find_package(Python3 REQUIRED COMPONENTS Interpreter)

include(CudaToolkit)

# With thread sanitizing the callbacks belong to the sanitizer, and it does not know the emulator's fibers.
set(TINYGPT_SIMT_CHECKED ON)
if(TINYGPT_SANITIZE MATCHES "thread")
  set(TINYGPT_SIMT_CHECKED OFF)
endif()

# One world's namespaces. Only whole identifiers are renamed: include paths stand in quotes.
function(tinygpt_world target world)
  foreach(name ref_cuda cuda mine_cuda test_cuda lesson_cuda)
    target_compile_definitions(${target} PRIVATE ${name}=${name}_${world})
  endforeach()
endfunction()

# tinygpt_rewrite(RESULT sources...): the rewritten files in the build folder, headers under their own names.
function(tinygpt_rewrite result)
  foreach(source ${ARGN})
    get_filename_component(source ${source} ABSOLUTE)
    file(RELATIVE_PATH relative ${CMAKE_SOURCE_DIR} ${source})
    set(output ${CMAKE_BINARY_DIR}/simt/${relative})
    if(NOT relative MATCHES "\\.(h|cuh)$")
      string(APPEND output .cpp)
    endif()
    add_custom_command(OUTPUT ${output}
      COMMAND ${Python3_EXECUTABLE} ${CMAKE_SOURCE_DIR}/tools/rewrite-cuda ${source} ${output}
      DEPENDS ${source} ${CMAKE_SOURCE_DIR}/tools/rewrite-cuda VERBATIM)
    list(APPEND outputs ${output})
  endforeach()
  set(${result} ${outputs} PARENT_SCOPE)
endfunction()

# tinygpt_cuda_library(NAME sources... [HEADERS files...] DEPENDS targets...): the libraries tinygpt_NAME_emulated,
# tinygpt_NAME_checked (but with thread sanitizing) and, with a CUDA toolkit, tinygpt_NAME_gpu. HEADERS names those
# included files that launch kernels or declare __shared__ arrays.
function(tinygpt_cuda_library name)
  cmake_parse_arguments(arg "" "" "HEADERS;DEPENDS" ${ARGN})
  tinygpt_rewrite(rewritten ${arg_UNPARSED_ARGUMENTS} ${arg_HEADERS})
  set(worlds emulated)
  if(TINYGPT_SIMT_CHECKED)
    list(APPEND worlds checked)
  endif()
  foreach(world ${worlds})
    set(library tinygpt_${name}_${world})
    add_library(${library} STATIC EXCLUDE_FROM_ALL ${rewritten}) # built where something links it
    target_include_directories(${library} BEFORE PRIVATE ${CMAKE_BINARY_DIR}/simt)
    target_link_libraries(${library} PUBLIC tinygpt_options tinygpt_simt ${arg_DEPENDS})
    tinygpt_world(${library} ${world})
  endforeach()
  if(TINYGPT_SIMT_CHECKED)
    # The instrumentation alone: its callbacks are tinygpt_simt's, and the sanitizer's library is not linked. -O1
    # keeps accesses at their lines.
    target_compile_options(tinygpt_${name}_checked PRIVATE -fsanitize=thread -O1 -g -fno-omit-frame-pointer
      $<$<CXX_COMPILER_ID:GNU>:--param=tsan-instrument-func-entry-exit=0>
      $<$<CXX_COMPILER_ID:Clang>:-mllvm> $<$<CXX_COMPILER_ID:Clang>:-tsan-instrument-func-entry-exit=0>)
    target_compile_definitions(tinygpt_${name}_checked PRIVATE TINYGPT_SIMT_CHECKED)
    set_target_properties(tinygpt_${name}_checked PROPERTIES TINYGPT_UNSANITIZED ON)
  endif()
  if(TINYGPT_GPU)
    add_library(tinygpt_${name}_gpu STATIC EXCLUDE_FROM_ALL ${arg_UNPARSED_ARGUMENTS})
    target_link_libraries(tinygpt_${name}_gpu PUBLIC tinygpt_options tinygpt_simt_gpu ${arg_DEPENDS})
    target_compile_options(tinygpt_${name}_gpu PRIVATE ${TINYGPT_NVCC_OPTIONS})
  endif()
endfunction()
