# The processor's kernels and their tests (target test_levels), and nothing that needs a library compiled for the
# processor: what tools/cross-check builds for processors that this machine is not.
include(Fetch)
include(Cuda) # for its functions: no kernel of CUDA is built

# Libraries that are headers, each by a link in a folder of its own: a cross compiler must not see /usr/include.
set(headers ${CMAKE_BINARY_DIR}/headers)
file(MAKE_DIRECTORY ${headers})
# tinygpt_header_library(TARGET HEADER PACKAGE): HEADER is fmt/format.h, say.
function(tinygpt_header_library target header package)
  find_path(${package}_FOLDER ${header} PATHS /usr/include /usr/local/include PATH_SUFFIXES eigen3
    NO_CMAKE_FIND_ROOT_PATH)
  if(NOT ${package}_FOLDER)
    message(FATAL_ERROR "tools/cross-check needs ${header}: sudo apt-get install -y ${package}")
  endif()
  get_filename_component(name ${header} DIRECTORY)
  file(CREATE_LINK ${${package}_FOLDER}/${name} ${headers}/${name} SYMBOLIC)
  add_library(${target} INTERFACE IMPORTED)
  target_include_directories(${target} SYSTEM INTERFACE ${headers})
endfunction()

tinygpt_header_library(fmt::fmt fmt/format.h libfmt-dev)
target_compile_definitions(fmt::fmt INTERFACE FMT_HEADER_ONLY)
tinygpt_header_library(Eigen3::Eigen Eigen/Core libeigen3-dev)
find_path(CATCH2_SINGLE_HEADER catch2/catch.hpp PATHS /usr/include NO_CMAKE_FIND_ROOT_PATH)
if(CATCH2_SINGLE_HEADER)
  tinygpt_header_library(Catch2::Catch2 catch2/catch.hpp catch2)
else()
  tinygpt_fetch(catch2 https://github.com/catchorg/Catch2/archive/refs/tags/v3.5.2.tar.gz
    269543a49eb76f40b3f93ff231d4c24c27a7e16c90e47d2e45bcc564de470c6e "catch2;catch-devel;catch2;catch2" .)
endif()
function(catch_discover_tests) # the program is run as it is, by an emulator
endfunction()

foreach(folder tinygpt/core tinygpt/ops solutions tinygpt/cpu tests/support tests/ops)
  add_subdirectory(${folder})
endforeach()
