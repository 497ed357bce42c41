# The processor's kernels (tinygpt/cpu) at several levels of instructions in one program, which picks one at run time
# (tinygpt/cpu/levels.cpp).
#
# A level's objects must not give anything to the rest of the program. They hold copies of inline functions and
# templates that other files have too, of std::vector say, compiled with AVX-512. The linker keeps one copy of each; if
# it kept that one, older processors would stop at an illegal instruction in code that has nothing to do with kernels.
# So a level's objects are first linked with each other into one (ld -r), the groups in which compilers put what may be
# there twice are dissolved (--force-group-allocation), and all names but the entry point become local to the object
# (objcopy). Exceptions' types stay visible: they are data, and who catches compares them.
# tests/ops/levels/symbols_test.py checks that this is so, tools/cross-check that old processors run the program.
set(levels scalar baseline avx2 avxvnni avx512 avx512bf16)
if(CMAKE_SYSTEM_PROCESSOR MATCHES "aarch64|arm64")
  set(levels scalar baseline dotprod)
endif()
set(TINYGPT_CPU_LEVELS "${levels}" CACHE STRING "Levels that a portable build has, the best last")
option(TINYGPT_TEST_LEVELS "Build and test all levels in a native build, too" "$ENV{CI}")

# What a level is compiled with, which is what a processor is asked for before it is taken.
set(TINYGPT_LEVEL_avx2 avx2 fma f16c bmi bmi2)
set(TINYGPT_LEVEL_avxvnni ${TINYGPT_LEVEL_avx2} avxvnni)
set(TINYGPT_LEVEL_avx512 ${TINYGPT_LEVEL_avx2} avx512f avx512cd avx512bw avx512dq avx512vl avx512vnni)
set(TINYGPT_LEVEL_avx512bf16 ${TINYGPT_LEVEL_avx512} avx512bf16)
set(TINYGPT_LEVEL_dotprod dotprod)
list(TRANSFORM TINYGPT_LEVEL_avx2 PREPEND -m OUTPUT_VARIABLE TINYGPT_OPTIONS_avx2)
list(TRANSFORM TINYGPT_LEVEL_avxvnni PREPEND -m OUTPUT_VARIABLE TINYGPT_OPTIONS_avxvnni)
list(TRANSFORM TINYGPT_LEVEL_avx512 PREPEND -m OUTPUT_VARIABLE TINYGPT_OPTIONS_avx512)
list(TRANSFORM TINYGPT_LEVEL_avx512bf16 PREPEND -m OUTPUT_VARIABLE TINYGPT_OPTIONS_avx512bf16)
set(TINYGPT_OPTIONS_dotprod -march=armv8.2-a+dotprod)
# GCC warns of the parts of a vector that one of one lane does not have.
set(TINYGPT_OPTIONS_scalar -DTINYGPT_SCALAR -fno-tree-vectorize -Wno-array-bounds)

# tinygpt_cpu_level_problem(RESULT): why this build can have one level alone, or "".
function(tinygpt_cpu_level_problem result)
  execute_process(COMMAND ${CMAKE_LINKER} --help OUTPUT_VARIABLE help ERROR_QUIET)
  set(problem "")
  if(NOT CMAKE_SYSTEM_PROCESSOR MATCHES "x86_64|AMD64|aarch64|arm64")
    set(problem "there are no levels for ${CMAKE_SYSTEM_PROCESSOR}")
  elseif(NOT CMAKE_EXECUTABLE_FORMAT STREQUAL "ELF" OR NOT CMAKE_OBJCOPY)
    set(problem "several need object files in ELF, and objcopy")
  elseif(NOT help MATCHES "force-group-allocation")
    set(problem "several need GNU ld 2.29 or later, and ${CMAKE_LINKER} is another")
  endif()
  set(${result} "${problem}" PARENT_SCOPE)
endfunction()

# tinygpt_cpu_level(LEVEL sources...): the one object LEVEL.o in the build folder that is left of the sources.
function(tinygpt_cpu_level level)
  set(target tinygpt_cpu_${level})
  add_library(${target} OBJECT EXCLUDE_FROM_ALL ${ARGN})
  target_link_libraries(${target} PRIVATE tinygpt_options tinygpt_solutions OpenMP::OpenMP_CXX)
  set_target_properties(${target} PROPERTIES TINYGPT_LEVEL ${level} INTERPROCEDURAL_OPTIMIZATION OFF)
  tinygpt_cpu_options(${target})
  target_compile_options(${target} PRIVATE -Dcpu=cpu_${level} ${TINYGPT_OPTIONS_${level}}
    $<$<CXX_COMPILER_ID:GNU>:-fno-gnu-unique>)
  string(LENGTH cpu_${level} length)
  set(keep _ZN7tinygpt${length}cpu_${level}16compiled_kernelsEv _ZTI* _ZTS*)
  list(TRANSFORM keep PREPEND --keep-global-symbol=)
  set(output ${CMAKE_CURRENT_BINARY_DIR}/${level}.o)
  set(linked ${CMAKE_CURRENT_BINARY_DIR}/${level}-linked.o)
  add_custom_command(OUTPUT ${output} BYPRODUCTS ${linked} DEPENDS ${target} $<TARGET_OBJECTS:${target}>
    COMMAND ${CMAKE_LINKER} -r --force-group-allocation -o ${linked} $<TARGET_OBJECTS:${target}>
    COMMAND ${CMAKE_OBJCOPY} --wildcard ${keep} ${linked} ${output} COMMAND_EXPAND_LISTS VERBATIM)
  set_source_files_properties(${output} PROPERTIES EXTERNAL_OBJECT ON GENERATED ON)
endfunction()

# tinygpt_cpu_levels(NAME "once..." sources...): the library tinygpt_NAME of the sources at every level, and some once.
function(tinygpt_cpu_levels name once)
  foreach(level ${TINYGPT_CPU_LEVELS})
    tinygpt_cpu_level(${level} ${ARGN})
    list(APPEND objects ${CMAKE_CURRENT_BINARY_DIR}/${level}.o)
    list(JOIN TINYGPT_LEVEL_${level} " " features)
    string(APPEND list "TINYGPT_CPU_LEVEL(${level}, \"${features}\")\n")
  endforeach()
  set(file ${CMAKE_BINARY_DIR}/generated/tinygpt/cpu/level_list.h)
  file(CONFIGURE OUTPUT ${file} CONTENT "${list}" @ONLY)
  add_library(tinygpt_${name} STATIC EXCLUDE_FROM_ALL ${once} ${objects}) # built where it is linked
  target_link_libraries(tinygpt_${name} PUBLIC tinygpt_options tinygpt_solutions OpenMP::OpenMP_CXX)
  target_compile_definitions(tinygpt_${name} PRIVATE TINYGPT_CPU_LEVEL_LIST="${file}")
  set_target_properties(tinygpt_${name} PROPERTIES TINYGPT_LEVEL_OBJECTS "${objects}") # for the test of their symbols
endfunction()
