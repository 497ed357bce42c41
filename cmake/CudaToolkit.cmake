# Looks for nvcc: TINYGPT_GPU says whether .cu files are compiled for GPUs too. A GPU is not needed for that.
option(TINYGPT_CUDA "Compile for GPUs where the CUDA toolkit is found" ON)
set(TINYGPT_CUDA_ARCHITECTURES "" CACHE STRING
  "GPU architectures to compile for, such as 86 or 75;80;86;89;90;120; empty for those of this machine")

set(TINYGPT_GPU OFF)
if(TINYGPT_CUDA)
  include(CheckLanguage)
  if(NOT CMAKE_CUDA_ARCHITECTURES)
    set(CMAKE_CUDA_ARCHITECTURES ${TINYGPT_CUDA_ARCHITECTURES})
    if(NOT CMAKE_CUDA_ARCHITECTURES)
      execute_process(COMMAND nvidia-smi --query-gpu=compute_cap --format=csv,noheader
        OUTPUT_VARIABLE tinygpt_found ERROR_QUIET OUTPUT_STRIP_TRAILING_WHITESPACE)
      string(REGEX MATCHALL "[0-9]+\\.[0-9]" tinygpt_found "${tinygpt_found}")
      string(REPLACE "." "" CMAKE_CUDA_ARCHITECTURES "${tinygpt_found}")
      list(REMOVE_DUPLICATES CMAKE_CUDA_ARCHITECTURES)
    endif()
    if(NOT CMAKE_CUDA_ARCHITECTURES)
      set(CMAKE_CUDA_ARCHITECTURES 80) # no GPU to ask: compiled for the sake of the compiler's verdict
    endif()
  endif()
  check_language(CUDA)
  if(CMAKE_CUDA_COMPILER)
    enable_language(CUDA)
    # CMake before 3.26 does not know that a later nvcc has C++20.
    if(NOT CMAKE_CUDA20_STANDARD_COMPILE_OPTION)
      set(CMAKE_CUDA20_STANDARD_COMPILE_OPTION -std=c++20)
      set(CMAKE_CUDA20_EXTENSION_COMPILE_OPTION -std=c++20)
    endif()
    set(TINYGPT_GPU ON)
  endif()
endif()

set(TINYGPT_NVCC_OPTIONS --Werror=all-warnings -Xcompiler=-Wall,-Wextra -lineinfo
  --expt-relaxed-constexpr --expt-extended-lambda)
