# Compiler flags that every target of the project shares, and the two functions with which targets are declared.

find_package(Threads REQUIRED)
find_package(OpenMP REQUIRED COMPONENTS CXX)

add_library(tinygpt_options INTERFACE)
target_include_directories(tinygpt_options INTERFACE ${CMAKE_SOURCE_DIR})
# nvcc has its own flags (Cuda.cmake).
set(TINYGPT_CXX $<COMPILE_LANGUAGE:CXX>)
target_compile_options(tinygpt_options INTERFACE
  $<${TINYGPT_CXX}:-Wall> $<${TINYGPT_CXX}:-Wextra> $<${TINYGPT_CXX}:-Wshadow> $<${TINYGPT_CXX}:-Wnon-virtual-dtor>)
# Contraction lets a * b + c become one fused multiply-add. It is not fast-math: nothing is reordered.
target_compile_options(tinygpt_options INTERFACE
  $<${TINYGPT_CXX}:-ffp-contract=fast> $<${TINYGPT_CXX}:-fno-math-errno>)
# No function of ours is replaced at load time: position-independent code may inline across functions all the same.
target_compile_options(tinygpt_options INTERFACE $<${TINYGPT_CXX}:-fno-semantic-interposition>)
if(TINYGPT_NATIVE)
  # But the kernels that are compiled for a level of instructions (CpuLevels.cmake).
  set(tinygpt_native $<AND:${TINYGPT_CXX},$<NOT:$<BOOL:$<TARGET_PROPERTY:TINYGPT_LEVEL>>>>)
  target_compile_options(tinygpt_options INTERFACE $<${tinygpt_native}:-march=native>)
endif()
if(TINYGPT_SANITIZE)
  # The emulator's checked kernels carry another instrumentation (Cuda.cmake).
  set(tinygpt_sanitized $<AND:${TINYGPT_CXX},$<NOT:$<BOOL:$<TARGET_PROPERTY:TINYGPT_UNSANITIZED>>>>)
  target_compile_options(tinygpt_options INTERFACE $<${tinygpt_sanitized}:-fsanitize=${TINYGPT_SANITIZE}>
    $<${tinygpt_sanitized}:-fno-omit-frame-pointer> $<${tinygpt_sanitized}:-fno-sanitize-recover=all>)
  target_link_options(tinygpt_options INTERFACE -fsanitize=${TINYGPT_SANITIZE})
endif()

# Under the sanitizers, too, an allocation that cannot be had is refused and no reason to stop.
set(TINYGPT_TEST_ENVIRONMENT "ASAN_OPTIONS=allocator_may_return_null=1")

# tinygpt_library(NAME sources... DEPENDS targets...): the static library tinygpt_NAME.
function(tinygpt_library name)
  cmake_parse_arguments(arg "" "" "DEPENDS" ${ARGN})
  add_library(tinygpt_${name} STATIC ${arg_UNPARSED_ARGUMENTS})
  target_link_libraries(tinygpt_${name} PUBLIC tinygpt_options ${arg_DEPENDS})
endfunction()

# tinygpt_cold(TARGET header...): code that computes little. It is optimised for a quick build instead, under the
# sanitizers not at all, and the headers that take most of that time are read once for all of its files.
function(tinygpt_cold target)
  set(level -O1)
  if(TINYGPT_SANITIZE)
    set(level -O0)
  endif()
  target_compile_options(${target} PRIVATE $<${TINYGPT_CXX}:${level}>)
  target_precompile_headers(${target} PRIVATE ${ARGN})
endfunction()

# tinygpt_test(NAME sources... DEPENDS targets...): a Catch2 program whose cases ctest lists one by one. Of a program
# that runs CUDA kernels, too, EMULATED says which cases do (by Catch2's tags) and are labelled so, HOST which do not.
function(tinygpt_test name)
  cmake_parse_arguments(arg "" "EMULATED;HOST" "DEPENDS" ${ARGN})
  add_executable(${name} ${arg_UNPARSED_ARGUMENTS})
  target_link_libraries(${name} PRIVATE tinygpt_options tinygpt_test_support ${arg_DEPENDS})
  tinygpt_cold(${name} ${CMAKE_SOURCE_DIR}/tests/support/catch.h)
  set(properties TIMEOUT 300 ENVIRONMENT "${TINYGPT_TEST_ENVIRONMENT}")
  if(arg_EMULATED AND NOT TINYGPT_SANITIZE MATCHES "address")
    catch_discover_tests(${name} TEST_PREFIX "${name}: " TEST_SPEC "${arg_EMULATED}"
      PROPERTIES ${properties} LABELS emulated ENVIRONMENT_MODIFICATION TINYGPT_TEST_DEVICES=set:emulated)
    if(arg_HOST)
      catch_discover_tests(${name} TEST_PREFIX "${name}: " TEST_SPEC "${arg_HOST}" PROPERTIES ${properties})
    endif()
  else()
    catch_discover_tests(${name} TEST_PREFIX "${name}: " PROPERTIES ${properties})
  endif()
endfunction()

# tinygpt_gpu_test(TITLE NAME words...): the program's cases once more, on a GPU. Where there is none, the test is
# skipped and says why. The target gpu_tests builds all of these programs.
function(tinygpt_gpu_test title name)
  if(NOT TARGET gpu_tests)
    add_custom_target(gpu_tests)
  endif()
  add_dependencies(gpu_tests ${name})
  add_test(NAME "gpu: ${title}" COMMAND ${name} ${ARGN})
  set_tests_properties("gpu: ${title}" PROPERTIES TIMEOUT 300 LABELS gpu SKIP_RETURN_CODE 77
    ENVIRONMENT "${TINYGPT_TEST_ENVIRONMENT};TINYGPT_TEST_DEVICES=gpu")
endfunction()
