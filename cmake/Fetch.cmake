# Downloads the source of a library that the system does not have, at a pinned version and checksum.
include(FetchContent)
if(POLICY CMP0135)
  cmake_policy(SET CMP0135 NEW) # files take the time of their unpacking, so that a new version is rebuilt
endif()

set(TINYGPT_DOWNLOADS ${CMAKE_SOURCE_DIR}/build/downloads CACHE PATH "Where downloaded sources are kept")

# tinygpt_download(RESULT NAME URL SHA256 PACKAGES): the path of the archive, downloaded once and shared by all presets.
function(tinygpt_download result name url sha256 packages)
  string(REGEX REPLACE ".*/" "" file ${url})
  set(file ${TINYGPT_DOWNLOADS}/${name}-${file})
  set(${result} ${file} PARENT_SCOPE)
  if(EXISTS ${file})
    file(SHA256 ${file} found)
    if(found STREQUAL sha256)
      return()
    endif()
  endif()
  message(STATUS "Downloading ${url}")
  file(DOWNLOAD ${url} ${file}.part STATUS status INACTIVITY_TIMEOUT 30 TLS_VERIFY ON)
  list(GET status 0 code)
  list(GET status 1 problem)
  if(code EQUAL 0)
    file(SHA256 ${file}.part found)
    if(found STREQUAL sha256)
      file(RENAME ${file}.part ${file})
      return()
    endif()
    set(problem "its SHA-256 is ${found} and should be ${sha256}")
  endif()
  file(REMOVE ${file}.part)
  list(GET packages 0 apt)
  list(GET packages 1 dnf)
  list(GET packages 2 pacman)
  list(GET packages 3 brew)
  message(FATAL_ERROR "A library is not installed and cannot be downloaded from ${url} (${problem}).\n"
    "Install it instead:\n"
    "  apt:    sudo apt-get install -y ${apt}\n"
    "  dnf:    sudo dnf install -y ${dnf}\n"
    "  pacman: sudo pacman -S --needed ${pacman}\n"
    "  brew:   brew install ${brew}")
endfunction()

# tinygpt_fetch(NAME URL SHA256 PACKAGES SUBFOLDER): unpacks the source to <name>_SOURCE_DIR and builds the project in
# its subfolder. A subfolder that does not exist means that the headers are all there is to take.
macro(tinygpt_fetch name url sha256 packages subfolder)
  string(TOUPPER ${name} tinygpt_upper)
  if(NOT FETCHCONTENT_SOURCE_DIR_${tinygpt_upper})
    tinygpt_download(tinygpt_archive ${name} ${url} ${sha256} "${packages}")
  endif()
  FetchContent_Declare(${name} URL ${tinygpt_archive} URL_HASH SHA256=${sha256} SOURCE_SUBDIR ${subfolder})
  # Other people's code is built without our warnings and outside our tests.
  set(tinygpt_kept ${CMAKE_COMPILE_WARNING_AS_ERROR})
  set(CMAKE_COMPILE_WARNING_AS_ERROR OFF)
  FetchContent_MakeAvailable(${name})
  set(CMAKE_COMPILE_WARNING_AS_ERROR ${tinygpt_kept})
endmacro()

# tinygpt_headers(TARGET FOLDER): an imported target for a library of headers alone.
function(tinygpt_headers target folder)
  add_library(${target} INTERFACE IMPORTED GLOBAL)
  target_include_directories(${target} INTERFACE ${folder})
endfunction()

# tinygpt_quiet(TARGET): no warnings from the headers of a library that is built here.
function(tinygpt_quiet target)
  get_target_property(folders ${target} INTERFACE_INCLUDE_DIRECTORIES)
  set_target_properties(${target} PROPERTIES INTERFACE_SYSTEM_INCLUDE_DIRECTORIES "${folders}")
endfunction()
