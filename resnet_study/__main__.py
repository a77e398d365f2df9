from resnet_study.cli import main

main()
