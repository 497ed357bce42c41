# Boost::context, for code that runs CUDA threads on the CPU as fibers. Include this where it is needed.
include(Fetch)

if(NOT TARGET Boost::context)
  find_package(Boost QUIET COMPONENTS context)
endif()
if(NOT TARGET Boost::context)
  set(BOOST_INCLUDE_LIBRARIES context)
  tinygpt_fetch(boost https://github.com/boostorg/boost/releases/download/boost-1.84.0/boost-1.84.0.tar.xz
    2e64e5d79a738d0fa6fb546c6e5c2bd28f88d268a2a080546f74e5ff98f29d0e
    "libboost-context-dev;boost-devel;boost;boost" .)
  tinygpt_quiet(boost_context)
endif()
